/**
 * Small pictures made large enough to look at.
 *
 * Browsers enlarge canvases bilinearly, which turns a 64-pixel picture into a field of little diamonds, or by repeating
 * pixels, which shows blocks. Catmull-Rom's cubic (Catmull and Rom 1974; the kernel with a = -1/2 in Keys 1981) goes
 * through the pixels' own values and stays sharp at edges; at these sizes it costs a few milliseconds.
 */

import type { Picture } from "./protocol.ts";

/** Weights of the four pixels around a point `f` (0 to 1) between the two in the middle. Their sum is 1. */
export function weights(f: number): [number, number, number, number] {
  const f2 = f * f;
  const f3 = f2 * f;
  return [(-f3 + 2 * f2 - f) / 2, (3 * f3 - 5 * f2 + 2) / 2, (-3 * f3 + 4 * f2 + f) / 2, (f3 - f2) / 2];
}

/** `picture` enlarged `factor` times, a whole number. Opaque. */
export function upscale({ rgba, width, height }: Picture, factor: number): Picture {
  const wide = width * factor;
  const tall = height * factor;
  const across = taps(width, factor);
  const down = taps(height, factor);
  const rows = new Float32Array(wide * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < wide; x++) {
      const { at, weight } = across[x]!;
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < 4; k++) sum += weight[k]! * rgba[(y * width + at[k]!) * 4 + c]!;
        rows[(y * wide + x) * 3 + c] = sum;
      }
    }
  }
  // Uint8ClampedArray rounds, and cuts off what the cubic overshoots.
  const out = new Uint8ClampedArray(wide * tall * 4);
  for (let y = 0; y < tall; y++) {
    const { at, weight } = down[y]!;
    for (let x = 0; x < wide; x++) {
      const to = (y * wide + x) * 4;
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 0; k < 4; k++) sum += weight[k]! * rows[(at[k]! * wide + x) * 3 + c]!;
        out[to + c] = sum;
      }
      out[to + 3] = 255;
    }
  }
  return { rgba: out, width: wide, height: tall };
}

/** For each enlarged position the four pixels it is made of; beyond the border the border's pixel counts again. */
function taps(length: number, factor: number): { at: number[]; weight: number[] }[] {
  return Array.from({ length: length * factor }, (_, i) => {
    const centre = (i + 0.5) / factor - 0.5;
    const first = Math.floor(centre);
    const at = [-1, 0, 1, 2].map((k) => Math.min(Math.max(first + k, 0), length - 1));
    return { at, weight: weights(centre - first) };
  });
}
