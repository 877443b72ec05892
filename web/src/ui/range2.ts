/**
 * A slider with two handles, which are two real range inputs one upon the other: keyboard, touch and screen readers know
 * what to do with each. Neither handle passes the other. What is drawn behind them is its caller's.
 */

import { h } from "./dom.ts";
import { s } from "./svg.ts";

export interface Range2Options {
  /** What the two values are, for those who do not see where the handles stand. */
  label: string;
  first: string;
  second: string;
  min: number;
  max: number;
  step: number;
  /** A handle's value in words. */
  describe: (value: number) => string;
  /** Told of both values when a person has moved one. */
  change: (first: number, second: number) => void;
  /** Lies behind the handles, as wide as they reach. */
  backdrop?: Element;
  id: string;
}

/** Width of what is drawn, in its own units. */
const WIDTH = 1000;

export class Range2 {
  readonly element: HTMLElement;
  readonly #options: Range2Options;
  readonly #first: HTMLInputElement;
  readonly #second: HTMLInputElement;
  readonly #chosen = s("rect", { class: "chosen", y: 0, height: 1 });

  constructor(options: Range2Options) {
    this.#options = options;
    const { label, first, second, min, max, step, id, backdrop } = options;
    const handle = (name: string, end: string) => h("input", { type: "range", id: `${id}-${end}`, class: end, min, max, step, "aria-label": name });
    this.#first = handle(first, "first");
    this.#second = handle(second, "second");
    this.element = h(
      "div",
      { class: "range2", role: "group", "aria-label": label },
      h("div", { class: "backdrop", "aria-hidden": "true" }, s("svg", { class: "between", viewBox: `0 0 ${WIDTH} 1`, preserveAspectRatio: "none" }, this.#chosen), backdrop ?? null),
      this.#first,
      this.#second,
    );
    this.#first.addEventListener("input", () => this.#moved(this.#first));
    this.#second.addEventListener("input", () => this.#moved(this.#second));
    // A press on the track moves the nearer handle: of two inputs that lie one upon the other only the upper one would hear it.
    this.element.addEventListener("pointerdown", (event) => this.#grab(event));
  }

  set(first: number, second: number): void {
    this.#first.value = String(first);
    this.#second.value = String(second);
    this.#draw();
  }

  #moved(handle: HTMLInputElement): void {
    const [first, second] = [this.#first.valueAsNumber, this.#second.valueAsNumber];
    if (first > second) handle.value = String(handle === this.#first ? second : first);
    this.#draw();
    this.#options.change(this.#first.valueAsNumber, this.#second.valueAsNumber);
  }

  #grab(event: PointerEvent): void {
    if (event.target instanceof HTMLInputElement) return;
    const { min, max, step } = this.#options;
    const { left, width } = this.element.firstElementChild!.getBoundingClientRect();
    const at = min + Math.min(Math.max((event.clientX - left) / width, 0), 1) * (max - min);
    const [first, second] = [this.#first.valueAsNumber, this.#second.valueAsNumber];
    const handle = Math.abs(at - first) < Math.abs(at - second) || (first === second && at < first) ? this.#first : this.#second;
    handle.value = String(min + Math.round((at - min) / step) * step);
    event.preventDefault();
    handle.focus();
    this.#moved(handle);
  }

  #draw(): void {
    const { min, max, describe } = this.#options;
    const [first, second] = [this.#first.valueAsNumber, this.#second.valueAsNumber];
    const at = (value: number) => ((value - min) / (max - min)) * WIDTH;
    this.#chosen.setAttribute("x", String(at(first)));
    this.#chosen.setAttribute("width", String(Math.max(at(second) - at(first), 0)));
    this.#first.setAttribute("aria-valuetext", describe(first));
    this.#second.setAttribute("aria-valuetext", describe(second));
    // Both at the right end: the left one must be on top, or neither can be moved.
    this.element.classList.toggle("at-end", first > (min + max) / 2);
  }
}
