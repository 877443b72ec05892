/** The files of a map: fetched, checked against their hashes, and read. Whoever wrote them: nothing is taken on trust. */

import type { FileEntry, MapFiles } from "../../manifest.ts";
import { browserSource, fetchFile } from "../../weights.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";

/** More points than this cannot be searched within a frame or two. */
const MOST_POINTS = 20_000;

/** Where the small pictures are, row by row in one large one. */
export interface SpriteSheet {
  file: string;
  side: number;
  columns: number;
}

export interface MapIndex {
  count: number;
  /** Numbers in a latent. */
  width: number;
  scale: number;
  latents: string;
  /** Per picture: the class's place in the manifest, and 1 if the model was not trained on it. */
  classes: readonly number[];
  heldOut: readonly number[];
  sprite: SpriteSheet;
}

export interface MapData extends MapIndex {
  /** In standard deviations, row by row. */
  values: Float32Array<ArrayBuffer>;
  pictures: ImageBitmap;
}

/** `onBytes` hears how many bytes have arrived since it was last called. */
export async function fetchMap(files: MapFiles, base: string, classCount: number, signal: AbortSignal, onBytes: (bytes: number) => void): Promise<MapData> {
  const source = await browserSource();
  const fetched = (file: FileEntry) => fetchFile(file, base, source, signal, onBytes);
  const index = readIndex(new TextDecoder().decode(await fetched(files.index)), classCount);
  const folder = files.index.path.slice(0, files.index.path.lastIndexOf("/") + 1);
  const listed = (name: string) => files.files.find(({ path }) => path === folder + name) ?? refuse(name);
  const [latents, sprite] = await Promise.all([fetched(listed(index.latents)), fetched(listed(index.sprite.file))]);
  const values = readLatents(latents, index);
  const pictures = await createImageBitmap(new Blob([sprite])).catch(() => refuse(index.sprite.file));
  signal.throwIfAborted();
  const { side, columns } = index.sprite;
  if (pictures.width < side * Math.min(columns, index.count) || pictures.height < side * Math.ceil(index.count / columns)) refuse(index.sprite.file);
  return { ...index, values, pictures };
}

/** Throws a `PageError` that names the part which is not as it should be. */
export function readIndex(text: string, classCount: number): MapIndex {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    refuse("map.json");
  }
  const { format, count, width, scale, latents, classes, held_out: heldOut, sprite } = record(root, "map.json");
  if (format !== 1) refuse("format");
  const points = whole(count, 3, MOST_POINTS, "count");
  const { file, side, columns } = record(sprite, "sprite");
  return {
    count: points,
    width: whole(width, 2, 1 << 16, "width"),
    scale: typeof scale === "number" && Number.isFinite(scale) && scale > 0 ? scale : refuse("scale"),
    latents: name(latents, "latents"),
    classes: list(classes, points, Math.max(0, classCount - 1), "classes"),
    heldOut: list(heldOut, points, 1, "held_out"),
    sprite: { file: name(file, "sprite.file"), side: whole(side, 1, 512, "sprite.side"), columns: whole(columns, 1, MOST_POINTS, "sprite.columns") },
  };
}

/** Signed bytes, times the scale. */
export function readLatents(bytes: Uint8Array, { count, width, scale, latents }: Pick<MapIndex, "count" | "width" | "scale" | "latents">): Float32Array<ArrayBuffer> {
  if (bytes.length !== count * width) refuse(latents);
  // A loop: `Float32Array.from` takes ten times as long for half a million numbers.
  const signed = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(signed.length);
  for (let i = 0; i < signed.length; i++) values[i] = signed[i]! * scale;
  return values;
}

function refuse(part: string): never {
  const { damaged, damagedAdvice } = words().map;
  throw new PageError("map", damaged(part), damagedAdvice);
}

function record(value: unknown, part: string): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : refuse(part);
}

function whole(value: unknown, min: number, max: number, part: string): number {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : refuse(part);
}

function list(value: unknown, length: number, max: number, part: string): number[] {
  if (!Array.isArray(value) || value.length !== length) return refuse(part);
  return value.every((one) => Number.isInteger(one) && one >= 0 && one <= max) ? value : refuse(part);
}

/** A file's name; the manifest's list says whether there is such a file. */
function name(value: unknown, part: string): string {
  return typeof value === "string" && value !== "" && value.length < 200 ? value : refuse(part);
}
