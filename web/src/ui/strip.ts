/** The run afterwards: a slider over its pictures, and a film strip of some of them. */

import type { Picture } from "../protocol.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";
import { paint } from "./frame.ts";

/** As many as fit side by side in the narrowest place. */
const THUMBNAILS = 8;

export class Strip {
  readonly #slider = h("input", { type: "range", id: "scrubber", min: 0, max: 0, step: 1, value: 0 });
  readonly #film = h("div", { class: "film", "aria-hidden": "true" });
  readonly element: HTMLElement;
  readonly #show: (index: number) => void;
  #pictures: Picture[] = [];

  /** `show` is told which picture to look at. */
  constructor(show: (index: number) => void) {
    this.#show = show;
    this.#slider.addEventListener("input", () => this.#show(this.#slider.valueAsNumber));
    this.element = h("div", { class: "strip", hidden: true }, this.#film, h("label", { for: "scrubber" }, words().shell.strip.label), this.#slider);
  }

  /** Empties it for another run. */
  reset(): void {
    this.#pictures = [];
    this.#film.replaceChildren();
    this.element.hidden = true;
    this.#slider.max = "0";
    this.#slider.value = "0";
  }

  /** Adds a picture, and shows it unless somebody looks at an earlier one. */
  add(picture: Picture): void {
    const last = this.#pictures.length - 1;
    const follows = last < 0 || this.#slider.valueAsNumber === last;
    this.#pictures.push(picture);
    this.#slider.max = String(last + 1);
    this.element.hidden = last < 0;
    if (follows) {
      this.#slider.value = String(last + 1);
      this.#show(last + 1);
    }
  }

  /** Lays out the film: the pictures of a whole run, evenly chosen. */
  end(): void {
    const count = Math.min(THUMBNAILS, this.#pictures.length);
    if (count < 2) return;
    const indices = Array.from({ length: count }, (_, i) => Math.round((i * (this.#pictures.length - 1)) / (count - 1)));
    this.#film.replaceChildren(
      ...indices.map((index) => {
        const canvas = h("canvas");
        paint(canvas, this.#pictures[index]!);
        canvas.addEventListener("click", () => {
          this.#slider.value = String(index);
          this.#show(index);
        });
        return canvas;
      }),
    );
  }

  /** What the slider's position means, for those who do not see the picture. */
  describe(words: string): void {
    this.#slider.setAttribute("aria-valuetext", words);
  }
}
