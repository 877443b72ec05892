/** Small pictures of the map's points, out of the one large picture they came in. */

import { h } from "../../ui/dom.ts";
import type { MapData } from "./data.ts";
import { cell } from "./scene.ts";

/** So many are kept: more than a list has. */
const MOST = 100;

export class Thumbnails {
  readonly #data: Pick<MapData, "pictures" | "sprite">;
  /** Made already: most neighbours of one step of a run are neighbours of the next. */
  readonly #kept = new Map<number, HTMLCanvasElement>();

  constructor(data: Pick<MapData, "pictures" | "sprite">) {
    this.#data = data;
  }

  /** For a list in which each point is once: an element is at one place only. */
  listed(index: number): HTMLCanvasElement {
    const made = this.#kept.get(index) ?? this.draw(index);
    this.#kept.delete(index);
    this.#kept.set(index, made);
    if (this.#kept.size > MOST) this.#kept.delete(this.#kept.keys().next().value!);
    return made;
  }

  draw(index: number): HTMLCanvasElement {
    const { pictures, sprite } = this.#data;
    const { side } = sprite;
    const canvas = h("canvas", { class: "thumbnail", width: side, height: side, "aria-hidden": "true" });
    canvas.getContext("2d")?.drawImage(pictures, ...cell(index, sprite), side, side, 0, 0, side, side);
    return canvas;
  }
}
