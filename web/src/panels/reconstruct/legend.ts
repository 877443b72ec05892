/** The bar that says which colour is which number. */

import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { paint } from "../../ui/frame.ts";
import { painted } from "./diverging.ts";

/** Steps of colour in the bar. */
const STEPS = 129;

export class Legend {
  readonly #bar = h("canvas", { "aria-hidden": "true" });
  readonly #low = h("span");
  readonly #high = h("span");
  readonly #unit = h("span", { class: "unit" });
  readonly element = h("div", { class: "legend" }, this.#bar, h("div", { class: "marks" }, this.#low, h("span", {}, "0"), this.#high), this.#unit);

  /** From `-range` to `range`, of what. */
  show(range: number, unit: string): void {
    paint(this.#bar, painted(Float32Array.from({ length: STEPS }, (_, i) => (2 * i) / (STEPS - 1) - 1), STEPS, 1));
    this.#low.textContent = `−${number(range)}`;
    this.#high.textContent = `+${number(range)}`;
    this.#unit.textContent = unit;
  }
}

/** A number with its sign, which 0 has not. */
export function signed(value: number, digits = 0): string {
  const text = number(Math.abs(value), digits);
  if (Number(Math.abs(value).toFixed(digits)) === 0) return text;
  return `${value < 0 ? "−" : "+"}${text}`;
}
