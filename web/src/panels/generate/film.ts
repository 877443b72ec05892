/** A run as it is kept: what was asked for, where it stood after every step, and what came of it. */

import type { Latents, Picture, SampleRequest, StepReport } from "../../protocol.ts";
import type { Settings as AllSettings } from "../../state/state.ts";

export type GenerateSettings = AllSettings["generate"];

/** Which of the two a step shows: the guess x̂0 or the state x_t. */
export type Kind = "clean" | "state";

/** Where a run stood after a step: what of the report is kept. */
export interface Moment {
  index: number;
  of: number;
  t: number;
  /** Latents of the whole batch. */
  clean: Latents;
  state: Latents;
}

export interface Film {
  readonly id: number;
  /** The settings it was made with, its class by name. */
  readonly settings: GenerateSettings;
  /** One for each picture: they differ in their seeds. */
  readonly requests: SampleRequest[];
  /** The class's name for people. */
  readonly label: string;
  /** Made while the controls moved. */
  readonly live: boolean;
  readonly moments: Moment[];
  /** The finished pictures; null until then, and if the run was stopped. */
  finals: Picture[] | null;
}

let films = 0;

/** An empty film of these settings. */
export function blank(settings: GenerateSettings, label: string, live: boolean): Film {
  return { id: ++films, settings, requests: requests(settings), label, live, moments: [], finals: null };
}

export function moment({ index, of, t, clean, state }: StepReport): Moment {
  return { index, of, t, clean, state };
}

/** Pictures to look at: one for each step, and the finished one. */
export function length(film: Film): number {
  return film.moments.length + (film.finals ? 1 : 0);
}

/** The batch: seeds count up from the first, and after the largest comes 0, as on the command line. */
export function requests({ class: name, seed, steps, guidance, low, high, sampler, count }: GenerateSettings): SampleRequest[] {
  return Array.from({ length: count }, (_, i) => ({
    class: name,
    seed: String((BigInt(seed) + BigInt(i)) % 2n ** 64n),
    steps,
    guidance,
    interval: [low, high] as [number, number],
    sampler,
  }));
}

/** How often the network is asked in a run, for one picture: guidance asks twice, and Heun looks twice. */
export function evaluations({ steps, guidance, low, high, sampler }: GenerateSettings): number {
  return steps * (sampler === "heun" ? 2 : 1) * (1 + (guidance > 1 ? high - low : 0));
}

/** The settings that make one picture of a batch alone. */
export function only(film: Film, at: number): GenerateSettings {
  return { ...film.settings, seed: film.requests[at]!.seed, count: 1 };
}
