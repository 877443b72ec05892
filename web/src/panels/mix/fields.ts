/** What is mixed, how, and what of it is shown. Own pictures are not here: a file cannot be in a link. */

import { choice, decimal, list, seed, text, whole } from "../../state/schema.ts";

/** Name of a class in the manifest; empty for one that the panel chooses. */
const className = () => text("", /|[\p{L}\p{N}][\p{L}\p{N}\p{M} .,'_()-]{0,79}/u);

const kind = () => choice("seed", ["seed", "picture"]);

export const fields = {
  mode: choice("between", ["between", "tokens", "walk", "edit"]),
  /** Where the two sides come from: a run of the generator, or a picture. */
  aKind: kind(),
  aClass: className(),
  aSeed: seed("1"),
  /** The class whose thumbnail is the picture; empty for a file. */
  aSample: className(),
  bKind: kind(),
  bClass: className(),
  bSeed: seed("2"),
  bSample: className(),
  /** Of the generator's runs. From one step alone the noise that it began with cannot be told. */
  steps: whole(25, 2, 1000),
  guidance: decimal(2, 1, 20, 2),
  /** Whether the finished latents are mixed or the noise they are made of. */
  target: choice("latents", ["latents", "noise"]),
  way: choice("spherical", ["linear", "spherical"]),
  /** Share of B, or of the second class. */
  share: decimal(0.5, 0, 1, 3),
  /** Pictures in the film. */
  frames: whole(9, 3, 17),
  /** Tokens that change sides. */
  tokens: list(whole(0, 0, 9999), 400),
  /** Up to which time an edit adds noise. */
  time: decimal(0.6, 0.05, 1, 2),
  editClass: className(),
};
