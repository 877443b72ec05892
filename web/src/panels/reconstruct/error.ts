/** How two pictures differ, with its sign, in steps of the 255 that a colour value has. */

import type { Picture } from "../../protocol.ts";

/** Red's, green's and blue's part in brightness (ITU-R BT.709). */
const BRIGHTNESS = [0.2126, 0.7152, 0.0722] as const;

/** Ends of the scale that a map may have: few, so that maps can be compared. */
const RANGES = [8, 16, 32, 64, 128, 255] as const;

/** How much brighter `b` is at each pixel. */
export function brighter(a: Picture, b: Picture): Float32Array {
  const map = new Float32Array(a.width * a.height);
  const [red, green, blue] = BRIGHTNESS;
  const difference = (at: number) => b.rgba[at]! - a.rgba[at]!;
  for (let i = 0; i < map.length; i++) map[i] = red * difference(i * 4) + green * difference(i * 4 + 1) + blue * difference(i * 4 + 2);
  return map;
}

/** Mean of the differences of all colour values, without sign. */
export function meanDifference(a: Picture, b: Picture): number {
  let sum = 0;
  for (let i = 0; i < a.rgba.length; i++) if (i % 4 < 3) sum += Math.abs(b.rgba[i]! - a.rgba[i]!);
  return sum / (a.width * a.height * 3);
}

/** The least range that all values lie in but one in a hundred, for which colours would be wasted. */
export function rangeOf(map: Float32Array): number {
  const sorted = map.map(Math.abs).sort();
  const most = sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 0;
  return RANGES.find((range) => range >= most) ?? 255;
}
