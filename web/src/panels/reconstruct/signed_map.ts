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
  #map: { values: Float32Array; width: number; label: string } | null = null;

  constructor(signal: AbortSignal) {
    darkness().addEventListener("change", () => this.#draw(), { signal });
  }

  /** How `b` differs from `a`. */
  show(a: Picture, b: Picture, label: string): void {
    this.#map = { values: brighter(a, b), width: a.width, label };
    this.#draw();
  }

  #draw(): void {
    if (!this.#map) return;
    const { values, width, label } = this.#map;
    const range = rangeOf(values);
    this.frame.show(painted(values, width, range), label);
    this.legend.show(range, words().reconstruct.error.unit);
  }
}
