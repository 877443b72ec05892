/** Several pictures on one, as the command line lays them out: `maetok sample --grid`, `image::grid` in the engine. */

import type { Picture } from "../../protocol.ts";

/** Pixels between the pictures, and around them. */
const GAP = 2;

export function columns(count: number): number {
  return Math.ceil(Math.sqrt(count));
}

/** The pictures of a batch side by side on white; a single one as it is. */
export function sheet(pictures: readonly Picture[]): Picture {
  const [first] = pictures;
  if (!first) throw new RangeError("a sheet needs a picture");
  if (pictures.length === 1) return first;
  const across = columns(pictures.length);
  const { width: side, height: tall } = first;
  const width = GAP + across * (side + GAP);
  const height = GAP + Math.ceil(pictures.length / across) * (tall + GAP);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  pictures.forEach((picture, at) => {
    const x = GAP + (at % across) * (side + GAP);
    const y = GAP + Math.floor(at / across) * (tall + GAP);
    for (let row = 0; row < tall; row++) rgba.set(picture.rgba.subarray(row * side * 4, (row + 1) * side * 4), ((y + row) * width + x) * 4);
  });
  return { rgba, width, height };
}
