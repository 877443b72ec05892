/** A map of how much brighter or darker one picture is than another, with its legend. */

import type { Picture } from "../../protocol.ts";
import { Frame } from "../../ui/frame.ts";
import { words } from "../../words/index.ts";
import { darkness, painted } from "./diverging.ts";
import { brighter, rangeOf } from "./error.ts";
import { Legend } from "./legend.ts";

export class SignedMap {
  readonly frame = new Frame(words().shell.noPicture);
  readonly legend = new Legend();
  #active = true;
  #map: { a: Picture; b: Picture; label: string } | null = null;

  constructor(signal: AbortSignal) {
    darkness().addEventListener("change", () => this.#draw(), { signal });
  }

  /** Whether anybody looks at it: nothing is drawn for nobody. */
  set active(active: boolean) {
    this.#active = active;
    if (active) this.#draw();
  }

  /** How `b` differs from `a`. */
  show(a: Picture, b: Picture, label: string): void {
    this.#map = { a, b, label };
    if (this.#active) this.#draw();
  }

  /** The map as a picture, looked at or not. */
  picture(): Picture | null {
    if (!this.#active) this.#draw();
    return this.frame.picture;
  }

  #draw(): void {
    if (!this.#map) return;
    const { a, b, label } = this.#map;
    const { width } = a;
    const values = brighter(a, b);
    const range = rangeOf(values);
    this.frame.show(painted(values, width, range), label);
    this.legend.show(range, words().reconstruct.error.unit);
  }
}
