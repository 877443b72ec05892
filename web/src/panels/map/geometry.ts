/** Where points lie on the screen, and which of them is meant: no drawing, no events. */

/** Two coordinates a point, across and upwards. */
export interface Points {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

export interface Box {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

/** What is looked at: the enlargement, and the middle as seen from the middle of the whole map. */
export interface View {
  zoom: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export type Direction = "left" | "right" | "up" | "down";

/** Empty space around the outermost points, as a share of the whole. */
const MARGIN = 0.06;

/** Two columns of `codes`, which has `axes` numbers in a row. */
export function columns(codes: Float32Array, axes: number, across: number, up: number): Points {
  const count = codes.length / axes;
  const column = (axis: number) => Float32Array.from({ length: count }, (_, row) => codes[row * axes + axis]!);
  return { x: column(across), y: column(up) };
}

export function bounds({ x, y }: Points): Box {
  const box = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (let i = 0; i < x.length; i++) {
    box.left = Math.min(box.left, x[i]!);
    box.right = Math.max(box.right, x[i]!);
    box.bottom = Math.min(box.bottom, y[i]!);
    box.top = Math.max(box.top, y[i]!);
  }
  return box;
}

/** From places on the map to pixels and back. One unit is as long upwards as across: distances mean something. */
export class Transform {
  readonly scale: number;
  readonly #size: Size;
  readonly #middle: { x: number; y: number };

  constructor(box: Box, size: Size, view: View) {
    const across = Math.max(box.right - box.left, 1e-6);
    const up = Math.max(box.top - box.bottom, 1e-6);
    this.scale = view.zoom * (1 - 2 * MARGIN) * Math.min(size.width / across, size.height / up);
    this.#size = size;
    this.#middle = { x: (box.left + box.right) / 2 + view.x, y: (box.bottom + box.top) / 2 + view.y };
  }

  toScreen(x: number, y: number): [x: number, y: number] {
    return [this.#size.width / 2 + (x - this.#middle.x) * this.scale, this.#size.height / 2 - (y - this.#middle.y) * this.scale];
  }

  toMap(x: number, y: number): [x: number, y: number] {
    return [this.#middle.x + (x - this.#size.width / 2) / this.scale, this.#middle.y - (y - this.#size.height / 2) / this.scale];
  }
}

/** The middle may go as far as the outermost points, so that the map cannot be lost. */
export function withinReach({ zoom, x, y }: View, box: Box, mostZoom: number): View {
  const clamp = (value: number, most: number) => Math.min(most, Math.max(-most, value));
  const wide = Math.min(mostZoom, Math.max(1, zoom));
  // The whole map is in view: there is nowhere to go.
  if (wide === 1) return { zoom: 1, x: 0, y: 0 };
  return { zoom: wide, x: clamp(x, (box.right - box.left) / 2), y: clamp(y, (box.top - box.bottom) / 2) };
}

/** Zooms by a factor so that what is under the pixel stays under it. */
export function zoomAt(view: View, box: Box, size: Size, [px, py]: readonly [number, number], factor: number, mostZoom: number): View {
  const zoom = Math.min(mostZoom, Math.max(1, view.zoom * factor));
  const before = new Transform(box, size, view).toMap(px, py);
  const after = new Transform(box, size, { ...view, zoom }).toMap(px, py);
  return withinReach({ zoom, x: view.x + before[0] - after[0], y: view.y + before[1] - after[1] }, box, mostZoom);
}

/** The point nearest to a place, of those `shown` says yes to; -1 if there is none within `most`. */
export function nearestPoint({ x, y }: Points, [px, py]: readonly [number, number], most: number, shown: (index: number) => boolean): number {
  let best = -1;
  let limit = most * most;
  for (let i = 0; i < x.length; i++) {
    const away = (x[i]! - px) ** 2 + (y[i]! - py) ** 2;
    if (away <= limit && shown(i)) [best, limit] = [i, away];
  }
  return best;
}

/**
 * The next point in a direction: the nearest in the quarter of the plane around it. Every other point is in one of the
 * four quarters, so all can be reached. -1 at the edge.
 */
export function nextPoint({ x, y }: Points, from: number, direction: Direction, shown: (index: number) => boolean): number {
  let best = -1;
  let limit = Infinity;
  for (let i = 0; i < x.length; i++) {
    if (i === from || !shown(i)) continue;
    const dx = x[i]! - x[from]!;
    const dy = y[i]! - y[from]!;
    const [along, aside] = { right: [dx, dy], left: [-dx, dy], up: [dy, dx], down: [-dy, dx] }[direction] as [number, number];
    if (along <= 0 || Math.abs(aside) > along) continue;
    const away = dx * dx + dy * dy;
    if (away < limit) [best, limit] = [i, away];
  }
  return best;
}

/** Places of the lines of a grid, not closer than `least` pixels: 1, 2 or 5 times a power of ten. */
export function gridStep(scale: number, least: number): number {
  const wanted = least / scale;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= wanted) ?? 10 * power;
}
