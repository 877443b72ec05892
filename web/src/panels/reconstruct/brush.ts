/** Patches hidden from the encoder: a veil over the original that is painted on, and the slider and buttons beside it. */

import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { type Bits, countBits } from "./bits.ts";
import { type Cell, Cells, evenly } from "./cells.ts";
import { brushFor, hiddenPatches } from "./mask.ts";

/** Pixels of the veil for each patch: enough for its edges. */
const CELL = 24;

export class Brush {
  readonly #lab: Lab;
  /** Lies over the original. */
  readonly veil = h("canvas", { class: "veil", role: "application", "aria-describedby": "brush-help" });
  readonly #share = h("input", { id: "mask-share", type: "range", min: 0, max: 100, step: 1 });
  readonly #value = h("output", { for: "mask-share" });
  readonly #where = h("p", { class: "hint where", "aria-live": "polite" });
  readonly element: HTMLElement;
  #side = 0;
  #at: Cell | null = null;
  /** What the stroke under way makes of patches. */
  #making: 0 | 1 = 1;

  constructor(lab: Lab) {
    this.#lab = lab;
    const { store, signal } = lab;
    const text = words().reconstruct.mask;
    this.veil.setAttribute("aria-label", text.veil);
    const finger = h("input", { type: "checkbox" });
    const button = (label: string, press: () => void) => h("button", { type: "button", class: "quiet", onclick: press }, label);
    const dice = h("button", { type: "button", class: "dice", title: text.dice, "aria-label": text.dice }, "⚄");
    this.element = h(
      "section",
      { class: "tool mask", "aria-labelledby": "mask-title", hidden: true },
      h("h3", { id: "mask-title" }, text.title),
      h("p", { class: "hint" }, text.intro),
      h("div", { class: "setting" }, h("label", { for: "mask-share" }, text.share, " ", h("span", { class: "term" }, text.shareTerm)), h("div", { class: "joined" }, this.#share, this.#value, dice)),
      h(
        "div",
        { class: "buttons" },
        button(text.showAll, () => store.set({ reconstruct: { share: 0, brush: "" } })),
        button(text.hideAll, () => store.set({ reconstruct: { share: 100, brush: "" } })),
        button(text.invert, () => this.#want(this.#mask().map((bit) => 1 - bit))),
      ),
      h("p", { class: "hint", id: "brush-help" }, text.brush),
      h("label", { class: "toggle finger" }, finger, text.finger),
      this.#where,
    );
    new Cells(this.veil, {
      grid: () => [this.#side, this.#side],
      at: (x, y) => evenly(x, y, this.#side, this.#side),
      moved: (cell) => this.#move(cell),
      pressed: ({ column, row }) => this.#paint(row * this.#side + column, true),
      painted: ({ column, row }, first) => this.#paint(row * this.#side + column, first),
    });
    // Another share by chance begins anew: what was painted belongs to the choice before.
    this.#share.addEventListener("input", () => store.set({ reconstruct: { share: this.#share.valueAsNumber, brush: "" } }));
    dice.addEventListener("click", () => {
      const maskSeed = String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000);
      store.set({ reconstruct: { maskSeed, brush: "", ...(store.get().reconstruct.share === 0 && { share: 50 }) } });
    });
    finger.addEventListener("change", () => this.veil.classList.toggle("painting", finger.checked));
    store.subscribe(() => this.#draw(), signal);
  }

  /** Patches of the model at hand; 0 if none can be hidden. */
  set patches(count: number) {
    this.#side = Math.round(Math.sqrt(count));
    this.element.hidden = this.veil.hidden = count === 0;
    this.#draw();
  }

  #mask(): Bits {
    return hiddenPatches(this.#lab.store.get().reconstruct, this.#side ** 2);
  }

  #paint(patch: number, first: boolean): void {
    const mask = this.#mask();
    if (first) this.#making = mask[patch] ? 0 : 1;
    if (mask[patch] === this.#making) return;
    mask[patch] = this.#making;
    this.#want(mask);
    this.#tell();
  }

  #want(mask: Bits): void {
    const { store } = this.#lab;
    store.set({ reconstruct: { brush: brushFor(mask, store.get().reconstruct) } });
  }

  #move(cell: Cell | null): void {
    const moved = cell?.column !== this.#at?.column || cell?.row !== this.#at?.row;
    this.#at = cell;
    if (!moved) return;
    this.#draw();
    this.#tell();
  }

  #tell(): void {
    const text = words().reconstruct.mask;
    if (!this.#at) return void (this.#where.textContent = "");
    const { column, row } = this.#at;
    const say = this.#mask()[row * this.#side + column] ? text.hiddenPatch : text.seenPatch;
    this.#where.textContent = say(number(row + 1), number(column + 1));
  }

  #draw(): void {
    const side = this.#side;
    if (side === 0) return;
    const mask = this.#mask();
    const count = countBits(mask);
    this.#share.value = String(this.#lab.store.get().reconstruct.share);
    this.#value.textContent = words().reconstruct.mask.count(number(count), number(mask.length));
    this.veil.width = this.veil.height = side * CELL;
    const context = this.veil.getContext("2d")!;
    const square = (patch: number): [number, number, number, number] => [(patch % side) * CELL, Math.floor(patch / side) * CELL, CELL, CELL];
    mask.forEach((bit, patch) => bit && veil(context, ...square(patch)));
    if (!this.#at) return;
    const [x, y] = square(this.#at.row * side + this.#at.column);
    // Light within dark can be seen on every picture.
    for (const [colour, inset, width] of [["#000", 1, 2], ["#fff", 2.5, 1.5]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.strokeRect(x + inset, y + inset, CELL - 2 * inset, CELL - 2 * inset);
    }
  }
}

/** Dark with light stripes: no picture looks like it, on light ground or dark. */
function veil(context: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.fillStyle = "rgb(30 32 40 / 88%)";
  context.fillRect(x, y, width, height);
  context.strokeStyle = "rgb(255 255 255 / 22%)";
  context.lineWidth = 2;
  for (let at = 0; at < width + height; at += 8) {
    context.beginPath();
    context.moveTo(x + at, y);
    context.lineTo(x + at - height, y + height);
    context.stroke();
  }
  context.restore();
}
