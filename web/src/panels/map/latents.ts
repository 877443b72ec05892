/** Distances between latents and what a class is like: in the full space, where nothing is lost to a projection. */

export interface Neighbour {
  index: number;
  /** Root mean square difference of the numbers, in standard deviations. */
  distance: number;
}

/** The `most` rows nearest to `latent`, nearest first; `leaveOut` is the row it came from. */
export function nearestRows(values: Float32Array, width: number, latent: ArrayLike<number>, most: number, leaveOut = -1): Neighbour[] {
  const found: Neighbour[] = [];
  for (let index = 0, at = 0; at < values.length; index++, at += width) {
    if (index === leaveOut) continue;
    const limit = found.length < most ? Infinity : found[most - 1]!.distance;
    let sum = 0;
    // Most rows are far, and show it before their end.
    for (let i = 0; i < width && sum < limit; i++) sum += (values[at + i]! - latent[i]!) ** 2;
    if (sum >= limit) continue;
    let place = found.length;
    while (place > 0 && found[place - 1]!.distance > sum) place--;
    found.splice(place, 0, { index, distance: sum });
    if (found.length > most) found.pop();
  }
  return found.map(({ index, distance }) => ({ index, distance: Math.sqrt(distance / width) }));
}

/** Root mean square difference of two latents. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum / a.length);
}

export interface ClassFigures {
  /** The class's place in the manifest. */
  index: number;
  count: number;
  heldOut: number;
  /** The mean latent. */
  centre: Float64Array;
  /** Root mean square distance of its pictures from the mean one. */
  spread: number;
}

/** What each class is like that has pictures, in the manifest's order. */
export function classFigures(values: Float32Array, width: number, classes: readonly number[], heldOut: readonly number[]): ClassFigures[] {
  const found = new Map<number, ClassFigures>();
  classes.forEach((index, row) => {
    let figures = found.get(index);
    if (!figures) found.set(index, (figures = { index, count: 0, heldOut: 0, centre: new Float64Array(width), spread: 0 }));
    figures.count++;
    figures.heldOut += heldOut[row]!;
    for (let i = 0; i < width; i++) figures.centre[i]! += values[row * width + i]!;
  });
  for (const figures of found.values()) for (let i = 0; i < width; i++) figures.centre[i]! /= figures.count;
  classes.forEach((index, row) => {
    const figures = found.get(index)!;
    figures.spread += distance(figures.centre, values.subarray(row * width, (row + 1) * width)) ** 2;
  });
  for (const figures of found.values()) figures.spread = Math.sqrt(figures.spread / figures.count);
  return [...found.values()].sort((a, b) => a.index - b.index);
}
