/** The whole picture with a frame around the square that the model sees: moved and resized by pointer, keys or slider. */

import { number } from "../../format.ts";
import type { Crop, Opened } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { asCrop, asNumbers, type Corner, inside, middle, resized, type Size, stretched } from "./crop.ts";

/** A corner is held within so many CSS pixels of it. */
const REACH = 24;

/** An arrow key moves by this share of the picture's shorter side, + and − resize by it. */
const NUDGE = 0.04;

export class Cropper {
  readonly #lab: Lab;
  readonly #canvas = h("canvas", { class: "overview", role: "application", tabindex: 0, "aria-describedby": "crop-help" });
  readonly #size = h("input", { id: "crop-size", type: "range", min: 1, max: 100, step: 1 });
  readonly #value = h("output", { for: "crop-size" });
  readonly #reset: HTMLButtonElement;
  readonly element: HTMLElement;
  #picture: ImageBitmap | HTMLCanvasElement | null = null;
  #opened: Opened | null = null;
  /** What is dragged: a corner, or the whole square from a point within it. */
  #held: Corner | { dx: number; dy: number } | null = null;

  constructor(lab: Lab) {
    this.#lab = lab;
    const text = words().reconstruct.crop;
    this.#reset = h("button", { type: "button", class: "quiet", onclick: () => this.#opened && this.#set(middle(this.#opened)) }, text.reset);
    this.element = h(
      "section",
      { class: "tool crop", "aria-labelledby": "crop-title" },
      h("h3", { id: "crop-title" }, text.title),
      h(
        "div",
        { class: "cropping" },
        this.#canvas,
        h(
          "div",
          { class: "controls" },
          h("div", { class: "setting" }, h("label", { for: "crop-size" }, text.size), h("div", { class: "joined" }, this.#size, this.#value)),
          h("div", { class: "buttons" }, this.#reset),
        ),
      ),
      h("p", { class: "hint", id: "crop-help" }, text.help),
    );
    this.#size.addEventListener("input", () => this.#set(resized(this.#crop(), (this.#size.valueAsNumber / 100) * middle(this.#opened!).side, this.#opened!)));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(end, () => (this.#held = null));
    lab.store.subscribe((state, before) => {
      if (state.reconstruct.crop !== before.reconstruct.crop) this.#draw();
    }, lab.signal);
  }

  show(opened: Opened): void {
    if (opened.overview.rgba.length === 0) return;
    this.#opened = opened;
    const { rgba, width, height } = opened.overview;
    const picture = h("canvas", { width, height });
    picture.getContext("2d")!.putImageData(new ImageData(rgba, width, height), 0, 0);
    this.#picture = picture;
    this.#draw();
  }

  #crop(): Crop {
    return asCrop(this.#lab.store.get().reconstruct.crop, this.#opened!);
  }

  #set(crop: Crop): void {
    this.#lab.store.set({ reconstruct: { crop: asNumbers(crop, this.#opened!) } });
  }

  #key(event: KeyboardEvent): void {
    if (!this.#opened || event.ctrlKey || event.altKey || event.metaKey) return;
    const crop = this.#crop();
    const step = event.shiftKey && event.key.startsWith("Arrow") ? 1 : Math.max(1, Math.round(NUDGE * middle(this.#opened).side));
    const moved = (dx: number, dy: number) => inside({ ...crop, x: crop.x + dx * step, y: crop.y + dy * step }, this.#opened!);
    const moves: Record<string, () => Crop> = {
      ArrowLeft: () => moved(-1, 0),
      ArrowRight: () => moved(1, 0),
      ArrowUp: () => moved(0, -1),
      ArrowDown: () => moved(0, 1),
      "+": () => resized(crop, crop.side + 2 * step, this.#opened!),
      "=": () => resized(crop, crop.side + 2 * step, this.#opened!),
      "-": () => resized(crop, crop.side - 2 * step, this.#opened!),
      Home: () => middle(this.#opened!),
    };
    const to = Object.hasOwn(moves, event.key) ? moves[event.key]!() : undefined;
    if (!to) return;
    event.preventDefault();
    this.#set(to);
  }

  /** Where a pointer is, in the picture's own pixels, and how many of these a CSS pixel is. */
  #point(event: PointerEvent): { x: number; y: number; scale: number } {
    const { left, top, width } = this.#canvas.getBoundingClientRect();
    const scale = this.#opened!.width / width;
    return { x: (event.clientX - left) * scale, y: (event.clientY - top) * scale, scale };
  }

  #down(event: PointerEvent): void {
    if (event.button !== 0 || !this.#opened) return;
    const { x, y, scale } = this.#point(event);
    const crop = this.#crop();
    // In a small frame the corners leave the middle to be held.
    const reach = Math.min(REACH * scale, crop.side / 3);
    const near = (corner: Corner) => Math.hypot(x - (crop.x + (corner.across > 0 ? crop.side : 0)), y - (crop.y + (corner.down > 0 ? crop.side : 0))) <= reach;
    const within = x >= crop.x && y >= crop.y && x <= crop.x + crop.side && y <= crop.y + crop.side;
    this.#held = CORNERS.find(near) ?? (within ? { dx: x - crop.x, dy: y - crop.y } : { dx: crop.side / 2, dy: crop.side / 2 });
    this.#canvas.setPointerCapture(event.pointerId);
    if (!within) this.#move(event);
  }

  #move(event: PointerEvent): void {
    if (!this.#held || !this.#opened) return;
    const { x, y } = this.#point(event);
    const crop = this.#crop();
    this.#set("across" in this.#held ? stretched(crop, this.#held, x, y, this.#opened) : inside({ ...crop, x: x - this.#held.dx, y: y - this.#held.dy }, this.#opened));
  }

  #draw(): void {
    if (!this.#opened || !this.#picture) return;
    const { x, y, side } = this.#crop();
    const { width, height } = this.#picture;
    this.#canvas.width = width;
    this.#canvas.height = height;
    const scale = width / this.#opened.width;
    const [left, top, length] = [x * scale, y * scale, side * scale];
    const context = this.#canvas.getContext("2d")!;
    context.drawImage(this.#picture, 0, 0);
    context.fillStyle = "rgb(15 16 20 / 62%)";
    context.beginPath();
    context.rect(0, 0, width, height);
    context.rect(left, top, length, length);
    context.fill("evenodd");
    frame(context, left, top, length, Math.max(width, height) / 160);
    const size: Size = this.#opened;
    this.#size.value = String(Math.round((100 * side) / middle(size).side));
    this.#value.textContent = `${number(side)} px`;
    this.#reset.setAttribute("aria-disabled", String(asNumbers({ x, y, side }, size).length === 0));
    this.#canvas.setAttribute("aria-label", words().reconstruct.crop.frame(number(side), `${number(x)}, ${number(y)}`));
  }
}

const CORNERS: readonly Corner[] = [-1, 1].flatMap((across) => [-1, 1].map((down) => ({ across, down }) as Corner));

/** A white line with a dark one around it, and thick corners to take hold of. */
function frame(context: CanvasRenderingContext2D, left: number, top: number, length: number, line: number): void {
  const arm = Math.min(length / 4, 14 * line);
  for (const [colour, width] of [["rgb(0 0 0 / 70%)", 2 * line], ["#fff", line]] as const) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(left + line, top + line, length - 2 * line, length - 2 * line);
    context.lineWidth = width + 2 * line;
    for (const { across, down } of CORNERS) {
      const [x, y] = [across < 0 ? left + 2 * line : left + length - 2 * line, down < 0 ? top + 2 * line : top + length - 2 * line];
      context.beginPath();
      context.moveTo(x - across * arm, y);
      context.lineTo(x, y);
      context.lineTo(x, y - down * arm);
      context.stroke();
    }
  }
}
