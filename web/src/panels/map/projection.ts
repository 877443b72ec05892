/**
 * Principal components of the map's latents, and the projection on them.
 *
 * The worker keeps the components it fitted last, which may be another panel's. So they are asked for once, right after
 * the fit, and anything else is projected here: 256 multiplications an axis.
 */

import type { Client } from "../../client.ts";

export class Projection {
  /** Coordinates of the map's pictures: `count` rows of `axes` numbers. */
  readonly codes: Float32Array;
  readonly axes: number;
  /** Share of the variance along each axis, from 0 to 1, largest first. */
  readonly shares: readonly number[];
  /** The origin's coordinates, and each number's own part: a row of `axes` for each. */
  readonly #origin: Float32Array;
  readonly #parts: Float32Array;

  /** `probes`: what the origin and each unit vector are projected to, in this order. */
  constructor(codes: Float32Array, axes: number, shares: readonly number[], probes: Float32Array) {
    this.codes = codes;
    this.axes = axes;
    this.shares = shares;
    this.#origin = probes.subarray(0, axes);
    this.#parts = probes.slice(axes).map((value, i) => value - this.#origin[i % axes]!);
  }

  static async fit(client: Client, values: Float32Array<ArrayBuffer>, width: number, most: number): Promise<Projection> {
    const probes = new Float32Array((width + 1) * width);
    for (let i = 0; i < width; i++) probes[(i + 1) * width + i] = 1;
    // Sent together, so that nothing comes between.
    const [{ codes, count, shares }, projected] = await Promise.all([client.fit(values, width, Math.min(most, width)), client.project(probes)]);
    return new Projection(codes, count, shares, projected.codes);
  }

  /** Coordinates of a latent in standard deviations. */
  project(latent: ArrayLike<number>): Float64Array {
    const place = Float64Array.from(this.#origin);
    for (let i = 0; i < latent.length; i++) {
      const value = latent[i]!;
      for (let axis = 0; axis < this.axes; axis++) place[axis]! += value * this.#parts[i * this.axes + axis]!;
    }
    return place;
  }
}
