/** A run on the map: its two paths, step by step, with the pictures that belong to them. */

import type { Latents, Picture, StepReport } from "../../protocol.ts";
import type { Projection } from "./projection.ts";

export interface Stop {
  index: number;
  of: number;
  /** In standard deviations. */
  clean: Float32Array;
  cleanPlace: Float64Array;
  statePlace: Float64Array;
  /** As the engine has it, to be decoded when somebody looks. */
  latents: Latents;
  picture: Picture | null;
}

export class Film {
  readonly stops: Stop[] = [];
  /** The class's, as in the manifest, and as people call it. */
  readonly name: string;
  readonly label: string;
  readonly seed: string;
  readonly #projection: Projection;
  readonly #standardise: (latents: Latents) => Float32Array;

  constructor(name: string, label: string, seed: string, projection: Projection, standardise: (latents: Latents) => Float32Array) {
    this.name = name;
    this.label = label;
    this.seed = seed;
    this.#projection = projection;
    this.#standardise = standardise;
  }

  add({ index, of, clean, state, cleanPictures }: StepReport): void {
    const standard = this.#standardise(clean);
    this.stops.push({
      index,
      of,
      clean: standard,
      cleanPlace: this.#projection.project(standard),
      statePlace: this.#projection.project(this.#standardise(state)),
      latents: clean,
      picture: cleanPictures?.[0] ?? null,
    });
  }
}
