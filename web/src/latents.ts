/** Arithmetic on latents that needs no engine: exchanges, distances, and the state that a step of a run began with. */

import type { Latents, ModelSummary } from "./protocol.ts";

/** The tokens `chosen` of `b` in the place of those of `a`; a token is a row of `channels` numbers. */
export function exchange(a: Latents, b: Latents, chosen: Iterable<number>, channels: number): Latents {
  const out = a.slice();
  for (const token of chosen) out.set(b.subarray(token * channels, (token + 1) * channels), token * channels);
  return out;
}

/** One after the other, for a batch. */
export function joined(parts: readonly Latents[]): Latents {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Root mean square of the differences, in whatever units `unit` of theirs is one of. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>, unit = 1): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / Math.max(1, a.length)) / unit;
}

/** How far apart each token of `a` is from that of `b`. */
export function tokenDistances(a: Latents, b: Latents, channels: number, unit: number): number[] {
  return Array.from({ length: a.length / channels }, (_, i) => distance(a.subarray(i * channels, (i + 1) * channels), b.subarray(i * channels, (i + 1) * channels), unit));
}

/** Tokenizer units as those of the generator, in which training latents have mean 0 and standard deviation 1; and back. */
export function standard(latents: Latents, { latentMean, latentStd }: ModelSummary): Latents {
  return latents.map((z) => (z - latentMean) / latentStd);
}

export function unstandard(latents: Latents, { latentMean, latentStd }: ModelSummary): Latents {
  return latents.map((x) => x * latentStd + latentMean);
}

/** How much of picture and of noise is in the state at time t, and how fast that changes. */
function path(kind: ModelSummary["path"], t: number) {
  if (kind === "linear") return { alpha: 1 - t, sigma: t, alphaRate: -1, sigmaRate: 1 };
  const angle = (Math.PI / 2) * t;
  const rate = Math.PI / 2;
  return { alpha: Math.cos(angle), sigma: Math.sin(angle), alphaRate: -rate * Math.sin(angle), sigmaRate: rate * Math.cos(angle) };
}

/**
 * The state before one of Euler's steps, from the state after it and the guess x̂0 made at `t`, all in the generator's
 * units. With x = αx̂0 + σε and v = α′x̂0 + σ′ε the step to `next` gives x + (next − t)v, so ε and x follow. Not for a step
 * that ends at the picture, where state and guess are one.
 */
export function beforeStep(kind: ModelSummary["path"], t: number, next: number, clean: Latents, state: Latents): Latents {
  const { alpha, sigma, alphaRate, sigmaRate } = path(kind, t);
  const dt = next - t;
  const ofClean = alpha + dt * alphaRate;
  const ofNoise = sigma + dt * sigmaRate;
  return clean.map((x0, i) => alpha * x0 + (sigma * (state[i]! - ofClean * x0)) / ofNoise);
}

/** `count` numbers evenly from 0 to 1. */
export function shares(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i / (count - 1));
}
