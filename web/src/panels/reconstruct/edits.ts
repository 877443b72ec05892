/** What is done to a latent before it is decoded: noise first, then another order, then tokens are left out. */

import type { Latents } from "../../protocol.ts";
import { type Bits, parseBits } from "./bits.ts";
import { chance, normals, permutation, PURPOSE } from "./chance.ts";

export interface EditSettings {
  keep: number;
  drop: string;
  order: string;
  noise: number;
  noiseSeed: string;
}

/** The form of a latent, and how its numbers lie in the training set. */
export interface Form {
  tokens: number;
  channels: number;
  mean: number;
  std: number;
}

export interface Edited {
  latents: Latents;
  /** The token that stands at each place. */
  order: readonly number[];
  /** 1 for each place whose token is left out. */
  dropped: Bits;
}

/** Untouched settings give the same numbers to the last bit. */
export function edit(latents: Latents, form: Form, settings: EditSettings): Edited {
  const { tokens, channels, mean, std } = form;
  const order = settings.order === "0" ? Array.from({ length: tokens }, (_, i) => i) : permutation(chance(settings.order, PURPOSE.order), tokens);
  const dropped = droppedPlaces(settings, tokens);
  const noise = settings.noise > 0 ? normals(chance(settings.noiseSeed, PURPOSE.noise), latents.length) : null;
  const edited = new Float32Array(latents.length);
  order.forEach((token, place) => {
    for (let channel = 0; channel < channels; channel++) {
      const from = token * channels + channel;
      const value = latents[from]! + (noise ? settings.noise * std * noise[from]! : 0);
      edited[place * channels + channel] = dropped[place] ? mean : value;
    }
  });
  return { latents: edited, order, dropped };
}

/** Left out by hand, or beyond the first that are kept. */
export function droppedPlaces({ keep, drop }: Pick<EditSettings, "keep" | "drop">, tokens: number): Bits {
  return parseBits(drop, tokens).map((bit, place) => (place >= keep ? 1 : bit));
}

/** The latent with one more token left out: its numbers are the mean of all numbers of the training set's latents. */
export function without(latents: Latents, place: number, { channels, mean }: Form): Latents {
  const rest = latents.slice();
  rest.fill(mean, place * channels, (place + 1) * channels);
  return rest;
}
