/** Squares within a picture, in its own pixels: always whole pixels, always inside. */

import type { Crop } from "../../protocol.ts";

export interface Size {
  width: number;
  height: number;
}

/** The least side in pixels: a picture of fewer is not taken either. */
export const LEAST = 8;

/** The largest square in the middle. */
export function middle({ width, height }: Size): Crop {
  const side = Math.min(width, height);
  return { x: (width - side) >> 1, y: (height - side) >> 1, side };
}

/** The square a setting speaks of; the middle where it speaks of none. */
export function asCrop(numbers: readonly number[], size: Size): Crop {
  const [x, y, side] = numbers;
  return x === undefined || y === undefined || side === undefined ? middle(size) : inside({ x, y, side }, size);
}

/** The setting for a square: none for the middle. */
export function asNumbers(crop: Crop, size: Size): number[] {
  const { x, y, side } = middle(size);
  return crop.x === x && crop.y === y && crop.side === side ? [] : [crop.x, crop.y, crop.side];
}

/** Made smaller and moved in as far as it must be. */
export function inside({ x, y, side }: Crop, { width, height }: Size): Crop {
  const most = Math.min(width, height);
  const fits = Math.round(clamp(side, Math.min(LEAST, most), most));
  return { x: Math.round(clamp(x, 0, width - fits)), y: Math.round(clamp(y, 0, height - fits)), side: fits };
}

/** Another side, around the same middle. */
export function resized({ x, y, side }: Crop, to: number, size: Size): Crop {
  const fits = inside({ x: 0, y: 0, side: to }, size).side;
  return inside({ x: x + (side - fits) / 2, y: y + (side - fits) / 2, side: fits }, size);
}

/** A corner of the square: -1 is left and up, 1 right and down. */
export interface Corner {
  across: -1 | 1;
  down: -1 | 1;
}

/** A corner drawn to a point, the opposite one staying where it is. */
export function stretched({ x, y, side }: Crop, { across, down }: Corner, toX: number, toY: number, { width, height }: Size): Crop {
  const fixedX = across < 0 ? x + side : x;
  const fixedY = down < 0 ? y + side : y;
  const room = Math.min(across < 0 ? fixedX : width - fixedX, down < 0 ? fixedY : height - fixedY);
  const wanted = Math.max((toX - fixedX) * across, (toY - fixedY) * down);
  const to = Math.round(clamp(wanted, Math.min(LEAST, room), room));
  return inside({ x: across < 0 ? fixedX - to : fixedX, y: down < 0 ? fixedY - to : fixedY, side: to }, { width, height });
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
