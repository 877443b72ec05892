/**
 * How a class looks on the map: a shape for its group, and within the group a colour of its own, so that twice as many
 * classes can be told apart. Colours are of OKLCH, where equal steps look equal.
 */

import type { ModelClass } from "../../protocol.ts";

export type Shape = "circle" | "square" | "triangle" | "diamond";

const SHAPES: readonly Shape[] = ["circle", "square", "triangle", "diamond"];

export interface Look {
  shape: Shape;
  light: string;
  dark: string;
}

/** One look for each class, in their order. */
export function looks(classes: readonly Pick<ModelClass, "group">[]): Look[] {
  const groups = [...new Set(classes.map(({ group }) => group))];
  const sizes = groups.map((name) => classes.filter(({ group }) => group === name).length);
  const next = groups.map(() => 0);
  return classes.map(({ group }) => {
    const at = groups.indexOf(group);
    const size = sizes[at]!;
    const place = (next[at]!++ * stride(size)) % size;
    const hue = Math.round((360 * place) / size + 25 + 180 * (at / groups.length) / size);
    // Neighbours in hue differ in lightness, too.
    const even = place % 2 === 0;
    return { shape: SHAPES[at % SHAPES.length]!, light: `oklch(${even ? 0.5 : 0.66} 0.17 ${hue})`, dark: `oklch(${even ? 0.84 : 0.68} 0.14 ${hue})` };
  });
}

/** Steps around the circle of hues, so that classes that follow each other are far apart and none is met twice. */
function stride(size: number): number {
  for (let step = Math.max(1, Math.round(size * 0.382)); step < size; step++) if (divisor(step, size) === 1) return step;
  return 1;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}

/** Traces a shape of radius `r` around a place; it is filled or stroked by the caller. */
export function trace(context: CanvasRenderingContext2D, shape: Shape, x: number, y: number, r: number): void {
  if (shape === "circle") {
    context.moveTo(x + r, y);
    context.arc(x, y, r, 0, 2 * Math.PI);
  } else if (shape === "square") {
    // As large to the eye as the circle.
    const half = r * 0.88;
    context.rect(x - half, y - half, 2 * half, 2 * half);
  } else {
    const corners = shape === "triangle" ? [[0, -1.2], [1.05, 0.75], [-1.05, 0.75]] : [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]];
    corners.forEach(([dx, dy], i) => context[i === 0 ? "moveTo" : "lineTo"](x + dx! * r, y + dy! * r));
    context.closePath();
  }
}
