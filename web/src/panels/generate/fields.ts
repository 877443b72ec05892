/** What a run of the generator is told. */

import { choice, decimal, flag, seed, text, whole } from "../../state/schema.ts";

export const fields = {
  /** Name of the class in the manifest; empty for the model's first. */
  class: text("", /|[\p{L}\p{N}][\p{L}\p{N}\p{M} .,'_()-]{0,79}/u),
  seed: seed("1"),
  steps: whole(25, 1, 1000),
  /** Guidance scale; 1 follows the class as learnt. */
  guidance: decimal(2, 1, 20, 2),
  /** The times between which guidance acts, 1 being noise and 0 the picture. */
  low: decimal(0, 0, 1, 3),
  high: decimal(1, 0, 1, 3),
  sampler: choice("euler", ["euler", "heun", "sde"]),
  /** What is shown on the way: the guess x̂0, the noisy state x_t, or both. */
  preview: choice("clean", ["clean", "state", "both"]),
  /** Pictures made at once. */
  count: whole(1, 1, 16),
  /** The picture follows the controls while they move. */
  live: flag(false),
};
