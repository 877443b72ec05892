/**
 * The numbers of a run as files for NumPy and PyTorch. Shapes: `[L, C]` is a latent of L tokens with C channels; before it
 * stands the step, and where there are several pictures the picture: `[steps, B, L, C]`. Units are the tokenizer's.
 */

import type { Client } from "../client.ts";
import type { ModelFacts, NamedArray } from "../protocol.ts";
import type { Film } from "../panels/generate/film.ts";

type Size = Pick<ModelFacts, "latentTokens" | "latentChannels">;

/** Where the run ended. */
export function finalLatents(film: Film, size: Size): NamedArray {
  return { name: "latents", shape: shape(film, size), values: film.moments.at(-1)!.state };
}

/** The state after every step, or the guess at it. */
export function trajectory(film: Film, kind: "clean" | "state", size: Size): NamedArray {
  const each = film.moments[0]!.state.length;
  const values = new Float32Array(film.moments.length * each);
  film.moments.forEach((moment, i) => values.set(moment[kind], i * each));
  return { name: kind, shape: [film.moments.length, ...shape(film, size)], values };
}

/** The times at which the network was asked. */
export function times(film: Film): NamedArray {
  return { name: "t", shape: [film.moments.length], values: Float32Array.from(film.moments, ({ t }) => t) };
}

/** Everything in one file, with the request beside it. */
export async function safetensors(client: Client, film: Film, size: Size, recipe: string): Promise<Blob> {
  const metadata = { maetok: recipe, units: "tokenizer", seeds: film.requests.map(({ seed }) => seed).join(",") };
  return await client.safetensors([trajectory(film, "clean", size), trajectory(film, "state", size), times(film)], metadata);
}

function shape({ requests }: Film, { latentTokens, latentChannels }: Size): number[] {
  return [...(requests.length > 1 ? [requests.length] : []), latentTokens, latentChannels];
}
