/** A latent as a table of colours: a row for each token, a column for each channel. */

import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { type Cell, Cells } from "./cells.ts";
import { darkness, diverging } from "./diverging.ts";
import type { Edited, Form } from "./edits.ts";
import { Legend, signed } from "./legend.ts";

/** Ends of the colours, in standard deviations: few numbers lie beyond, and they have the colour of the end. */
const RANGE = 3;

/** Room for the labels, and the heights that rows may have, in CSS pixels. */
const LEFT = 30;
const TOP = 18;
const LEAST = 4;
const MOST = 22;

/** Labels nearer than this, in CSS pixels, would touch. */
const APART = { down: 13, across: 18 };

export interface Wishes {
  /** The place that is pointed at or walked to. */
  look: (place: number) => void;
  /** The place whose token is to be left out, or put back. */
  toggle: (place: number) => void;
}

export class HeatMap {
  readonly canvas = h("canvas", { class: "heat", role: "application", "aria-describedby": "heat-help" });
  readonly #legend = new Legend();
  readonly #value = h("p", { class: "value", "aria-live": "polite" });
  readonly element = h("div", { class: "heatmap" }, this.canvas, this.#legend.element, this.#value);
  readonly #wishes: Wishes;
  #shown: { edited: Edited; form: Form } | null = null;
  #at: Cell | null = null;
  /** The place that is marked when nothing is pointed at. */
  #chosen: number | null = null;
  #rowHeight = MOST;

  constructor(wishes: Wishes, signal: AbortSignal) {
    this.#wishes = wishes;
    this.canvas.setAttribute("aria-label", words().reconstruct.latent.map);
    new Cells(this.canvas, {
      grid: () => (this.#shown ? [this.#shown.form.channels, this.#shown.form.tokens] : [0, 0]),
      at: (x, y) => this.#cellAt(x, y),
      moved: (cell) => this.#move(cell),
      pressed: ({ row }, by) => {
        // A tap looks, as pointing does with a mouse.
        if (by !== "touch") wishes.toggle(row);
        else this.#look(row);
      },
    });
    const observer = new ResizeObserver(() => this.#draw());
    observer.observe(this.element);
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
    darkness().addEventListener("change", () => this.#draw(), { signal });
  }

  show(edited: Edited, form: Form): void {
    this.#shown = { edited, form };
    if (this.#chosen !== null && this.#chosen >= form.tokens) this.#chosen = null;
    this.#draw();
    this.#tell();
  }

  /** Marks a place without telling. */
  choose(place: number): void {
    this.#chosen = place;
    this.#draw();
  }

  #cellAt(x: number, y: number): Cell | null {
    if (!this.#shown) return null;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { tokens, channels } = this.#shown.form;
    const row = Math.floor((y * height - TOP) / this.#rowHeight);
    const column = Math.floor(((x * width - LEFT) / (width - LEFT)) * channels);
    if (row < 0 || row >= tokens || column >= channels) return null;
    return { column: Math.max(column, 0), row };
  }

  #move(cell: Cell | null): void {
    const before = this.#at;
    this.#at = cell;
    if (cell?.row === before?.row && cell?.column === before?.column) return;
    if (cell) this.#look(cell.row);
    this.#draw();
    this.#tell();
  }

  #look(place: number): void {
    if (this.#chosen === place) return;
    this.#chosen = place;
    this.#wishes.look(place);
  }

  #tell(): void {
    if (!this.#shown) return;
    const text = words().reconstruct.latent;
    if (!this.#at) return void (this.#value.textContent = text.point);
    const { edited, form } = this.#shown;
    const { row, column } = this.#at;
    const value = (edited.latents[row * form.channels + column]! - form.mean) / form.std;
    const [token, channel] = [number(edited.order[row]! + 1), number(column + 1)];
    this.#value.textContent = edited.dropped[row] ? text.droppedCell(token) : text.cell(token, channel, signed(value, 2));
  }

  #draw(): void {
    const width = this.element.clientWidth;
    if (!this.#shown || width === 0) return;
    const { edited, form } = this.#shown;
    const { tokens, channels, mean, std } = form;
    const cell = (width - LEFT) / channels;
    this.#rowHeight = Math.max(LEAST, Math.min(MOST, cell));
    const height = TOP + tokens * this.#rowHeight;
    const scale = window.devicePixelRatio;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d")!;
    context.scale(scale, scale);
    const dark = darkness().matches;
    const ink = getComputedStyle(this.canvas).color;
    for (let place = 0; place < tokens; place++) {
      for (let channel = 0; channel < channels; channel++) {
        const value = (edited.latents[place * channels + channel]! - mean) / std;
        context.fillStyle = `rgb(${diverging(value / RANGE, dark).join(" ")})`;
        context.fillRect(LEFT + channel * cell, TOP + place * this.#rowHeight, cell + 0.5, this.#rowHeight + 0.5);
      }
    }
    context.fillStyle = context.strokeStyle = ink;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    edited.dropped.forEach((dropped, place) => {
      if (!dropped) return;
      const y = TOP + (place + 0.5) * this.#rowHeight;
      context.beginPath();
      context.moveTo(2, y);
      context.lineTo(width, y);
      context.stroke();
    });
    this.#labels(context, cell);
    this.#marks(context, cell, width, ink);
    this.#legend.show(RANGE, words().reconstruct.latent.unit);
  }

  #labels(context: CanvasRenderingContext2D, cell: number): void {
    const { edited, form } = this.#shown!;
    context.textAlign = "right";
    every(form.tokens, this.#rowHeight, APART.down, (place) => context.fillText(String(edited.order[place]! + 1), LEFT - 6, TOP + (place + 0.5) * this.#rowHeight));
    context.textAlign = "center";
    every(form.channels, cell, APART.across, (channel) => context.fillText(String(channel + 1), LEFT + (channel + 0.5) * cell, TOP / 2));
  }

  #marks(context: CanvasRenderingContext2D, cell: number, width: number, ink: string): void {
    const row = this.#at?.row ?? this.#chosen;
    if (row === null) return;
    context.strokeStyle = ink;
    context.lineWidth = 1.5;
    const y = TOP + row * this.#rowHeight;
    context.strokeRect(LEFT + 0.75, y + 0.75, width - LEFT - 1.5, this.#rowHeight - 1.5);
    if (!this.#at) return;
    context.lineWidth = 2.5;
    context.strokeRect(LEFT + this.#at.column * cell + 1, y + 1, cell - 2, this.#rowHeight - 2);
  }
}

/** Each of so many, or as few of them as there is room for, evenly. */
function every(count: number, size: number, apart: number, draw: (index: number) => void): void {
  const step = [1, 2, 4, 8, 16, 32, 64, 128].find((step) => step * size >= apart) ?? 256;
  for (let index = 0; index < count; index += step) draw(index);
}
