/** Runs that were recorded, and how far they are from each other on the way. */

import { distance } from "../../latents.ts";
import type { Latents, Picture, SampleRequest } from "../../protocol.ts";

/** What is looked at: the guess x̂0 or the state x_t. */
export type Of = "clean" | "state";

/** Latents at a time of the path. */
export interface Point {
  t: number;
  latents: Latents;
}

export interface Trajectory {
  request: SampleRequest;
  /** From noise to picture, as the network was asked; the last is the finished latents, at time 0. */
  clean: Point[];
  /** After each step; the last is the same as that of the guesses. */
  state: Point[];
  picture: Picture;
  /** Of the steps alone, in milliseconds. */
  ms: number;
}

export interface Distance {
  t: number;
  distance: number;
}

/** Puts together what the steps reported, each `{ t, clean, state }`. */
export function pointsOf(steps: readonly { t: number; clean: Latents; state: Latents }[]): Pick<Trajectory, "clean" | "state"> {
  const state = steps.map((step, i) => ({ t: steps[i + 1]?.t ?? 0, latents: step.state }));
  const end = state.at(-1);
  const clean = steps.map(({ t, clean }) => ({ t, latents: clean }));
  return { clean: end ? [...clean, end] : clean, state };
}

/** What there was last at the time `t` or before it on the way, which leads from 1 to 0; else the first there is. */
export function at(points: readonly Point[], t: number): Point | undefined {
  return points.findLast((point) => point.t >= t - 1e-9) ?? points[0];
}

/** The latents at any time between the first and the last point, on a straight line between two. */
export function interpolated(points: readonly Point[], t: number): Latents | null {
  const next = points.findIndex((point) => point.t <= t);
  if (next < 0) return null;
  const after = points[next]!;
  if (after.t === t) return after.latents;
  const before = points[next - 1];
  if (!before) return null;
  const share = (before.t - t) / (before.t - after.t);
  return before.latents.map((value, i) => value + share * (after.latents[i]! - value));
}

/** How far a run is from another on the way, in units of `unit`. They begin with the same noise, so at t = 1 states are one. */
export function fromOther(run: Trajectory, other: Trajectory, of: Of, unit: number): Distance[] {
  const distances: Distance[] = of === "state" ? [{ t: 1, distance: 0 }] : [];
  for (const { t, latents } of run[of]) {
    const there = interpolated(other[of], t);
    if (there) distances.push({ t, distance: distance(latents, there, unit) });
  }
  return distances;
}

/** How far a run is from where it ends. */
export function fromEnd(run: Trajectory, of: Of, unit: number): Distance[] {
  const end = run.state.at(-1)!.latents;
  return run[of].map(({ t, latents }) => ({ t, distance: distance(latents, end, unit) }));
}

/** Lists of distances as columns over all their times, rising; `null` where a list has nothing to say. */
export function aligned(lists: readonly (readonly Distance[])[]): { times: number[]; columns: (number | null)[][] } {
  const times = [...new Set(lists.flatMap((list) => list.map(({ t }) => t)))].sort((a, b) => a - b);
  const columns = lists.map((list) => {
    const known = new Map(list.map(({ t, distance }) => [t, distance]));
    return times.map((t) => known.get(t) ?? null);
  });
  return { times, columns };
}

/** A list's distance at any time, on a straight line between two. */
export function distanceAt(list: readonly Distance[], t: number): number | null {
  const next = list.findIndex((point) => point.t <= t);
  if (next < 0) return null;
  const after = list[next]!;
  const before = list[next - 1];
  if (after.t === t || !before) return after.t === t ? after.distance : null;
  return before.distance + ((before.t - t) / (before.t - after.t)) * (after.distance - before.distance);
}

/** How often the network was asked: Heun looks twice but in its last step, guidance asks with and without the class. */
export function questions({ sampler, guidance, interval }: SampleRequest, times: readonly number[]): number {
  const [low, high] = interval ?? [0, 1];
  return times.reduce((sum, t, i) => {
    const looks = sampler === "heun" && i < times.length - 1 ? 2 : 1;
    return sum + looks * (guidance > 1 && t >= low && t <= high ? 2 : 1);
  }, 0);
}
