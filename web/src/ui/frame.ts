/** A picture in a frame: small pictures enlarged smoothly, or pixel by pixel on request. */

import type { Picture } from "../protocol.ts";
import { upscale } from "../upscale.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";

/** Side in pixels a picture is enlarged to at least, where its size divides; the rest is CSS. */
const SIDE = 512;

export class Frame {
  readonly canvas = h("canvas", { class: "picture", role: "img" });
  #picture: Picture | null = null;
  #pixels = false;

  constructor(label: string) {
    this.canvas.setAttribute("aria-label", label);
  }

  get picture(): Picture | null {
    return this.#picture;
  }

  show(picture: Picture, label: string): void {
    this.#picture = picture;
    this.canvas.setAttribute("aria-label", label);
    this.#draw();
  }

  /** True: every pixel a square. */
  set pixels(value: boolean) {
    this.#pixels = value;
    this.canvas.classList.toggle("pixels", value);
    this.#draw();
  }

  /** Noise, where no picture is yet. */
  showNoise(size: number): void {
    const rgba = new Uint8ClampedArray(size * size * 4);
    // A multiplicative congruential generator (Lehmer's with 48271) will do for decoration, and looks the same each time.
    let state = 20261;
    for (let i = 0; i < rgba.length; i++) {
      state = (state * 48271) % 2147483647;
      rgba[i] = i % 4 === 3 ? 255 : 72 + (state % 112);
    }
    this.show({ rgba, width: size, height: size }, words().shell.noise);
    this.#picture = null;
  }

  #draw(): void {
    if (!this.#picture) return;
    const { width } = this.#picture;
    const factor = this.#pixels ? 1 : Math.max(1, Math.floor(SIDE / width));
    paint(this.canvas, upscaleOnce(this.#picture, factor));
  }
}

function upscaleOnce(picture: Picture, factor: number): Picture {
  return factor === 1 ? picture : upscale(picture, factor);
}

export function paint(canvas: HTMLCanvasElement, { rgba, width, height }: Picture): void {
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
}
