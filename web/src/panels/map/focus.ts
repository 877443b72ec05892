/** What is chosen on the map, whose neighbours are listed: a point, a picture of one's own, or a step of a run. */

import type { Picture } from "../../protocol.ts";
import type { MapData } from "./data.ts";
import type { Film, Stop } from "./film.ts";
import { type Neighbour, nearestRows } from "./latents.ts";
import type { Projection } from "./projection.ts";

export interface Own {
  name: string;
  picture: Picture;
  /** In standard deviations. */
  latent: Float32Array;
  place: Float64Array;
}

export type Focus = { kind: "none" } | { kind: "point"; index: number } | { kind: "own"; own: Own } | { kind: "run"; film: Film; stop: Stop };

export type Place = readonly [x: number, y: number];

/** Two of the coordinates. */
export function at(place: Float64Array, across: number, up: number): Place {
  return [place[across]!, place[up]!];
}

export function pointAt({ codes, axes }: Projection, index: number, across: number, up: number): Place {
  return [codes[index * axes + across]!, codes[index * axes + up]!];
}

export function placeOf(focus: Focus, projection: Projection, across: number, up: number): Place | null {
  switch (focus.kind) {
    case "none":
      return null;
    case "point":
      return pointAt(projection, focus.index, across, up);
    case "own":
      return at(focus.own.place, across, up);
    case "run":
      return at(focus.stop.cleanPlace, across, up);
  }
}

export function rowOf({ values, width }: MapData, index: number): Float32Array {
  return values.subarray(index * width, (index + 1) * width);
}

export function latentOf(focus: Focus, data: MapData): Float32Array | null {
  switch (focus.kind) {
    case "none":
      return null;
    case "point":
      return rowOf(data, focus.index);
    case "own":
      return focus.own.latent;
    case "run":
      return focus.stop.clean;
  }
}

export function neighboursOf(focus: Focus, data: MapData, count: number): Neighbour[] {
  const latent = latentOf(focus, data);
  return latent ? nearestRows(data.values, data.width, latent, count, focus.kind === "point" ? focus.index : -1) : [];
}

/** Its picture and a name for its file, if it is not one of the map's own, which are small. */
export function pictureOf(focus: Focus): { picture: Picture; name: string } | null {
  if (focus.kind === "own") return { picture: focus.own.picture, name: focus.own.name };
  if (focus.kind !== "run" || !focus.stop.picture) return null;
  const { index, of, picture } = focus.stop;
  return { picture, name: `${focus.film.name}-seed${focus.film.seed}-${of}steps${index === of ? "" : `-step${index}`}` };
}
