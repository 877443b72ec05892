/** What is done to a picture between its file and its reconstruction. The picture itself is in no link. */

import { choice, decimal, list, seed, text, whole } from "../../state/schema.ts";

/** More tokens than any model has: all of them are kept. */
export const ALL = 4096;

/** Yes or no for each of many, as `bits.ts` writes it. */
const BITS = /[0-9a-f]{0,1024}/;

export const fields = {
  /** What is shown beside the original. */
  view: choice("picture", ["picture", "wipe", "error"]),
  /** How much of the wiped picture is the original, in percent from the left. */
  wipe: whole(50, 0, 100),
  /** Left, top and side of the square in the picture's own pixels; empty for the middle. */
  crop: list(whole(0, 0, 16384), 3),
  /** Patches hidden from the encoder by chance, in percent, and the chance. */
  share: whole(0, 0, 100),
  maskSeed: seed("1"),
  /** Patches that the brush made what chance had not. */
  brush: text("", BITS),
  /** So many tokens from the first are kept. */
  keep: whole(ALL, 0, ALL),
  /** Other tokens that are left out, by their places. */
  drop: text("", BITS),
  /** The order of the tokens: 0 is their own. */
  order: seed("0"),
  /** Noise on the latent, in standard deviations of the training set's latents, and its seed. */
  noise: decimal(0, 0, 3, 2),
  noiseSeed: seed("1"),
};
