/** What part of the map is looked at, and the run that is drawn into it. */

import { choice, decimal, seed, text, whole } from "../../state/schema.ts";

/** Components that are computed: one can choose among so many axes. */
export const MOST_AXES = 8;

const className = /|[\p{L}\p{N}][\p{L}\p{N}\p{M} .,'_()-]{0,79}/u;

export const fields = {
  /** Which principal components lie across and upwards, the first being 1. */
  across: whole(1, 1, MOST_AXES),
  up: whole(2, 1, MOST_AXES),
  /** Pictures the model was trained on, pictures it never saw, or both. */
  pictures: choice("all", ["all", "training", "held-out"]),
  /** Name of the class that is shown alone among pale others; empty for none. */
  highlight: text("", className),
  /** How many neighbours are listed. */
  neighbours: whole(6, 1, 24),
  /** Enlargement, and what is in the middle, from the middle of the whole map, in standard deviations. */
  zoom: decimal(1, 1, 50, 4),
  x: decimal(0, -1000, 1000, 4),
  y: decimal(0, -1000, 1000, 4),
  /** The run: name of its class (empty for the model's first), noise, steps, guidance scale. */
  class: text("", className),
  seed: seed("1"),
  steps: whole(25, 1, 1000),
  guidance: decimal(2, 1, 20, 2),
  /** Which of its lines are drawn: the guesses x̂0, the states x_t, or both. */
  path: choice("both", ["both", "clean", "state"]),
};
