/** What there is to draw, and the drawing of it. Knows places on the map and a transform; nothing of events or settings. */

import { number } from "../../format.ts";
import type { SpriteSheet } from "./data.ts";
import { gridStep, type Points, type Size, type Transform } from "./geometry.ts";
import { type Look, trace } from "./palette.ts";

type Place = readonly [x: number, y: number];

export interface Scene {
  points: Points;
  /** Per point. */
  classes: readonly number[];
  heldOut: readonly number[];
  /** Per class. */
  looks: readonly Look[];
  /** Whether a point is on the map at all, and whether it is drawn in full. */
  shown: (index: number) => boolean;
  bright: (index: number) => boolean;
  pictures: ImageBitmap;
  sprite: SpriteSheet;
  /** The point under the pointer, or -1, and its class's name. */
  hovered: number;
  label: string;
  /** The point, picture or step whose neighbours are listed. */
  focus: Place | null;
  links: readonly Place[];
  own: Place | null;
  lines: readonly { kind: "clean" | "state"; places: readonly Place[]; at: number }[];
}

export interface Ink {
  dark: boolean;
  text: string;
  faint: string;
  line: string;
  accent: string;
  paper: string;
}

/** Side of the small picture beside the point that is pointed at. */
const PREVIEW = 56;

/** Points drawn in one piece. */
const PIECE = 250;

/** How pale the others are while one class is highlighted. */
const PALE = 0.13;

/** The page's colours as this canvas's own style has them; `style/map.css` puts each where it can be read. */
export function inkOf(canvas: HTMLCanvasElement): Ink {
  const { color, backgroundColor, borderTopColor, caretColor, textDecorationColor, colorScheme } = getComputedStyle(canvas);
  const dark = colorScheme === "dark" || (colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  return { dark, text: color, faint: textDecorationColor, line: borderTopColor, accent: caretColor, paper: backgroundColor };
}

/**
 * The ground: what stays as it is while somebody points at the map or goes along a run. It is left after each piece, so
 * that a large map can be drawn over several frames.
 */
export function* drawGround(context: CanvasRenderingContext2D, size: Size, transform: Transform, scene: Scene, ink: Ink): Generator<void> {
  context.fillStyle = ink.paper;
  context.fillRect(0, 0, size.width, size.height);
  drawGrid(context, size, transform, ink);
  yield* drawPoints(context, size, transform, scene, ink);
}

/** What lies upon it. */
export function drawFigures(context: CanvasRenderingContext2D, size: Size, transform: Transform, scene: Scene, ink: Ink): void {
  drawLinks(context, transform, scene, ink);
  for (const line of scene.lines) drawLine(context, transform, line, ink);
  if (scene.own) drawStar(context, transform.toScreen(...scene.own), ink);
  if (scene.hovered >= 0) drawHovered(context, size, transform, scene, ink);
}

function drawGrid(context: CanvasRenderingContext2D, { width, height }: Size, transform: Transform, ink: Ink): void {
  const step = gridStep(transform.scale, 64);
  const [left, top] = transform.toMap(0, 0);
  const [right, bottom] = transform.toMap(width, height);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  context.lineWidth = 1;
  context.strokeStyle = ink.line;
  context.fillStyle = ink.faint;
  context.font = "11px system-ui, sans-serif";
  for (let i = Math.ceil(left / step); i * step <= right; i++) {
    const x = Math.round(transform.toScreen(i * step, 0)[0]) + 0.5;
    context.globalAlpha = i === 0 ? 1 : 0.45;
    stroke(context, [x, 0], [x, height]);
    context.globalAlpha = 1;
    context.textAlign = "center";
    if (x > 24 && x < width - 24) context.fillText(`${number(i * step, digits)} σ`, x, height - 6);
  }
  for (let i = Math.ceil(bottom / step); i * step <= top; i++) {
    const y = Math.round(transform.toScreen(0, i * step)[1]) + 0.5;
    context.globalAlpha = i === 0 ? 1 : 0.45;
    stroke(context, [0, y], [width, y]);
    context.globalAlpha = 1;
    context.textAlign = "left";
    if (y > 16 && y < height - 28) context.fillText(`${number(i * step, digits)} σ`, 6, y - 4);
  }
}

function stroke(context: CanvasRenderingContext2D, from: Place, to: Place): void {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}

/** Class by class, the pale ones first: one path for each kind of mark. */
function* drawPoints(context: CanvasRenderingContext2D, { width, height }: Size, transform: Transform, scene: Scene, ink: Ink): Generator<void> {
  const { points, classes, heldOut, looks } = scene;
  const marks = new Map<string, { look: Look; ring: boolean; bright: boolean; places: Place[] }>();
  const reach = 12;
  for (let i = 0; i < points.x.length; i++) {
    if (!scene.shown(i)) continue;
    const place = transform.toScreen(points.x[i]!, points.y[i]!);
    if (place[0] < -reach || place[1] < -reach || place[0] > width + reach || place[1] > height + reach) continue;
    const bright = scene.bright(i);
    const key = `${bright} ${classes[i]} ${heldOut[i]}`;
    let mark = marks.get(key);
    if (!mark) marks.set(key, (mark = { look: looks[classes[i]!]!, ring: heldOut[i] === 1, bright, places: [] }));
    mark.places.push(place);
  }
  const radius = radiusFor(transform, width);
  for (const { look, ring, bright, places } of [...marks.values()].sort((a, b) => Number(a.bright) - Number(b.bright))) {
    context.globalAlpha = bright ? (ring ? 0.95 : 0.8) : PALE;
    context.fillStyle = context.strokeStyle = ink.dark ? look.dark : look.light;
    context.lineWidth = 1.5;
    for (let from = 0; from < places.length; from += PIECE) {
      context.beginPath();
      for (const [x, y] of places.slice(from, from + PIECE)) trace(context, look.shape, x, y, ring ? radius - 0.25 : radius);
      if (ring) context.stroke();
      else context.fill();
      yield;
    }
  }
}

/** Larger where there is room: on a wide screen, and zoomed in. */
function radiusFor(transform: Transform, width: number): number {
  const base = width < 500 ? 2.4 : 3;
  return Math.min(7, base + Math.log2(Math.max(1, transform.scale / (width / 40))));
}

function drawLinks(context: CanvasRenderingContext2D, transform: Transform, { focus, links }: Scene, ink: Ink): void {
  if (!focus) return;
  const from = transform.toScreen(...focus);
  context.strokeStyle = ink.text;
  context.lineWidth = 1;
  context.globalAlpha = 0.55;
  for (const link of links) {
    const to = transform.toScreen(...link);
    stroke(context, from, to);
    context.beginPath();
    context.arc(...to, 7, 0, 2 * Math.PI);
    context.stroke();
  }
  context.globalAlpha = 1;
  ring(context, from, 10, ink);
}

/** A ring that is seen on any ground. */
function ring(context: CanvasRenderingContext2D, at: Place, radius: number, ink: Ink): void {
  context.beginPath();
  context.arc(...at, radius, 0, 2 * Math.PI);
  context.lineWidth = 5;
  context.strokeStyle = ink.paper;
  context.stroke();
  context.lineWidth = 2.5;
  context.strokeStyle = ink.accent;
  context.stroke();
}

function drawLine(context: CanvasRenderingContext2D, transform: Transform, { kind, places, at }: Scene["lines"][number], ink: Ink): void {
  if (places.length === 0) return;
  const path = places.map(([x, y]) => transform.toScreen(x, y));
  const walk = (to: number) => {
    context.beginPath();
    path.slice(0, to + 1).forEach(([x, y], i) => context[i === 0 ? "moveTo" : "lineTo"](x, y));
    context.stroke();
  };
  context.lineJoin = context.lineCap = "round";
  context.setLineDash(kind === "state" ? [2, 6] : []);
  context.strokeStyle = ink.paper;
  context.lineWidth = 6;
  walk(path.length);
  context.strokeStyle = kind === "state" ? ink.text : ink.accent;
  context.lineWidth = 2.5;
  // What is still to come of it is there, but pale.
  context.globalAlpha = 0.35;
  walk(path.length);
  context.globalAlpha = 1;
  walk(at);
  context.setLineDash([]);
  const [x, y] = path[Math.min(at, path.length - 1)]!;
  context.beginPath();
  context.arc(x, y, kind === "state" ? 5 : 6.5, 0, 2 * Math.PI);
  context.fillStyle = kind === "state" ? ink.paper : ink.accent;
  context.fill();
  context.lineWidth = 2.5;
  context.strokeStyle = kind === "state" ? ink.text : ink.paper;
  context.stroke();
}

function drawStar(context: CanvasRenderingContext2D, [x, y]: Place, ink: Ink): void {
  context.beginPath();
  for (let i = 0; i < 10; i++) {
    const radius = i % 2 === 0 ? 12 : 5;
    const angle = (i * Math.PI) / 5 - Math.PI / 2;
    context[i === 0 ? "moveTo" : "lineTo"](x + radius * Math.cos(angle), y + radius * Math.sin(angle));
  }
  context.closePath();
  context.lineJoin = "round";
  context.lineWidth = 5;
  context.strokeStyle = ink.paper;
  context.stroke();
  context.fillStyle = ink.accent;
  context.fill();
  context.lineWidth = 1.5;
  context.strokeStyle = ink.text;
  context.stroke();
}

/** Where a picture is in the large one. */
export function cell(index: number, { side, columns }: SpriteSheet): [x: number, y: number] {
  return [(index % columns) * side, Math.floor(index / columns) * side];
}

function drawHovered(context: CanvasRenderingContext2D, { width, height }: Size, transform: Transform, scene: Scene, ink: Ink): void {
  const { points, hovered, sprite, pictures, label } = scene;
  const at = transform.toScreen(points.x[hovered]!, points.y[hovered]!);
  ring(context, at, 8, ink);
  context.font = "600 12px system-ui, sans-serif";
  const words = context.measureText(label).width;
  const box = { width: Math.max(PREVIEW, words) + 12, height: PREVIEW + 30 };
  const x = Math.max(4, at[0] + 14 + box.width > width ? at[0] - 14 - box.width : at[0] + 14);
  const y = Math.min(height - box.height - 4, Math.max(4, at[1] - box.height / 2));
  context.fillStyle = ink.paper;
  context.strokeStyle = ink.faint;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(x, y, box.width, box.height, 8);
  context.fill();
  context.stroke();
  context.imageSmoothingQuality = "high";
  context.drawImage(pictures, ...cell(hovered, sprite), sprite.side, sprite.side, x + (box.width - PREVIEW) / 2, y + 6, PREVIEW, PREVIEW);
  context.fillStyle = ink.text;
  context.textAlign = "center";
  context.fillText(label, x + box.width / 2, y + PREVIEW + 21);
}
