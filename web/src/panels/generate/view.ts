/** What is looked at of a run: one picture large, guess and state side by side, or a batch as a grid of pictures to click. */

import type { Picture } from "../../protocol.ts";
import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { Frame, paint } from "../../ui/frame.ts";
import { words } from "../../words/index.ts";
import type { Kind } from "./film.ts";
import { columns, sheet } from "./sheet.ts";

/** The pictures of one step, by kind; what is not made yet is left out. */
export type Shot = { readonly [K in Kind]?: readonly Picture[] };

export class View {
  readonly #main = new Frame(words().shell.noPicture);
  readonly #second = new Frame(words().shell.noPicture);
  readonly #mainName = h("figcaption", {});
  readonly #secondFigure: HTMLElement;
  readonly #single: HTMLElement;
  readonly #grid = h("div", { class: "sheet", hidden: true });
  readonly #back: HTMLButtonElement;
  readonly element: HTMLElement;
  readonly #focused: (at: number | null) => void;
  /** Which picture of a batch is enlarged; null: none is. */
  #at: number | null = null;
  #pictures: readonly Picture[] = [];

  /** `focused` hears which picture of a batch somebody wants to see large, null for all of them. */
  constructor(focused: (at: number | null) => void) {
    const text = words().generate;
    this.#focused = focused;
    this.#secondFigure = h("figure", { hidden: true }, h("div", { class: "frame" }, this.#second.canvas), h("figcaption", {}, text.kinds.state));
    this.#single = h("div", { class: "shown" }, h("figure", {}, h("div", { class: "frame" }, this.#main.canvas), this.#mainName), this.#secondFigure);
    this.#back = h("button", { type: "button", class: "quiet back", hidden: true }, h("span", { "aria-hidden": "true" }, "▦ "), text.allPictures);
    this.#back.addEventListener("click", () => this.enlarge(null));
    this.element = h("div", { class: "view" }, this.#single, this.#grid, this.#back);
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#at !== null && !this.#back.hidden) this.enlarge(null);
    });
  }

  get at(): number | null {
    return this.#at;
  }

  /** What would be saved: the picture, or all of them on a sheet; null while there is none. */
  get shown(): Picture | null {
    return this.#pictures.length === 0 ? null : this.choose(this.#pictures);
  }

  /** Of the pictures of a batch the one that is enlarged, or all on a sheet. */
  choose(pictures: readonly Picture[]): Picture {
    return (this.#at === null ? undefined : pictures[this.#at]) ?? sheet(pictures);
  }

  set pixels(value: boolean) {
    this.#main.pixels = this.#second.pixels = value;
    this.#grid.classList.toggle("pixels", value);
  }

  noise(size: number): void {
    this.#pictures = [];
    this.#main.showNoise(size);
  }

  /** Shows one picture of a batch, or the grid again; the focus goes along. */
  enlarge(at: number | null): void {
    const before = this.#at;
    this.#at = at;
    this.#focused(at);
    if (at !== null) this.#back.focus();
    else if (before !== null) (this.#grid.children[before] as HTMLElement | undefined)?.focus();
  }

  /** Another run: nothing is enlarged. */
  reset(): void {
    this.#at = null;
  }

  /** `label` says what is large; `name` says it of one picture in the grid. */
  show(shot: Shot, label: string, name: (at: number) => string): void {
    const pictures = shot.clean ?? shot.state;
    if (!pictures || pictures.length === 0) return;
    this.#pictures = pictures;
    const grid = pictures.length > 1 && this.#at === null;
    this.#single.hidden = grid;
    this.#grid.hidden = !grid;
    this.#back.hidden = pictures.length === 1 || grid;
    if (grid) return this.#showGrid(pictures, name);
    const at = this.#at ?? 0;
    const both = shot.clean !== undefined && shot.state !== undefined;
    const { clean, state } = words().generate.kinds;
    this.#main.show(pictures[at]!, both ? `${label} (${clean})` : label);
    this.#mainName.textContent = both ? clean : "";
    this.#secondFigure.hidden = !both;
    if (both) this.#second.show(shot.state![at]!, `${label} (${state})`);
  }

  #showGrid(pictures: readonly Picture[], name: (at: number) => string): void {
    const { enlarge } = words().generate;
    this.#grid.dataset.columns = String(columns(pictures.length));
    while (this.#grid.children.length > pictures.length) this.#grid.lastChild!.remove();
    while (this.#grid.children.length < pictures.length) {
      const at = this.#grid.children.length;
      this.#grid.append(h("button", { type: "button", class: "tile", onclick: () => this.enlarge(at) }, h("canvas", { class: "picture" })));
    }
    pictures.forEach((picture, at) => {
      const tile = this.#grid.children[at]!;
      tile.setAttribute("aria-label", enlarge(number(at + 1), name(at)));
      paint(tile.firstElementChild as HTMLCanvasElement, picture);
    });
  }
}
