/** Several pictures as one, side by side, to be saved; and how much two pictures differ. */

import type { Picture } from "../protocol.ts";

/** Part of a picture's width that is left white between two. */
const GAP = 1 / 32;

/** `columns` to a row, all in one if left out. Pictures are of one size. */
export function sheet(pictures: readonly Picture[], columns = pictures.length): Picture {
  const { width, height } = pictures[0]!;
  const gap = Math.round(width * GAP);
  const wide = columns * width + (columns - 1) * gap;
  const rows = Math.ceil(pictures.length / columns);
  const tall = rows * height + (rows - 1) * gap;
  const rgba = new Uint8ClampedArray(wide * tall * 4).fill(255);
  pictures.forEach((picture, i) => {
    const left = (i % columns) * (width + gap);
    const top = Math.floor(i / columns) * (height + gap);
    for (let y = 0; y < height; y++) {
      rgba.set(picture.rgba.subarray(y * width * 4, (y + 1) * width * 4), ((top + y) * wide + left) * 4);
    }
  });
  return { rgba, width: wide, height: tall };
}

/** Differences of two pictures of one size, over all pixels and colours, of 255. */
export function pixelDifference(a: Picture, b: Picture): { mean: number; most: number } {
  let sum = 0;
  let most = 0;
  for (let i = 0; i < a.rgba.length; i++) {
    if (i % 4 === 3) continue;
    const difference = Math.abs(a.rgba[i]! - b.rgba[i]!);
    sum += difference;
    if (difference > most) most = difference;
  }
  return { mean: sum / ((a.rgba.length / 4) * 3), most };
}
