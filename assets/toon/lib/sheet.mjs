// The contact sheet: a row of training pictures per class, and some that are held out.

import { png } from './raster.mjs';

export const TRAIN_COLUMNS = 20;
export const HELD_OUT_COLUMNS = 4;
const GAP = 2;

/** PNG bytes of a sheet with one row per class; each row is { train, heldOut }, lists of RGB squares of side `size`. */
export function contactSheet(rows, size) {
  const columns = TRAIN_COLUMNS + HELD_OUT_COLUMNS;
  const width = columns * (size + GAP) + 5 * GAP; // a wider gap before the held-out part
  const height = rows.length * (size + GAP) + GAP;
  const sheet = new Uint8Array(3 * width * height).fill(255);
  for (const [row, { train, heldOut }] of rows.entries()) {
    const tiles = [...train.slice(0, TRAIN_COLUMNS).entries(), ...heldOut.slice(0, HELD_OUT_COLUMNS).map((tile, i) => [TRAIN_COLUMNS + i, tile])];
    for (const [column, tile] of tiles) {
      const left = GAP + column * (size + GAP) + (column >= TRAIN_COLUMNS ? 3 * GAP : 0);
      for (let y = 0; y < size; y++) {
        sheet.set(tile.subarray(3 * y * size, 3 * (y + 1) * size), 3 * ((GAP + row * (size + GAP) + y) * width + left));
      }
    }
  }
  return png(sheet, width, height);
}
