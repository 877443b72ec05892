/** What is chosen on the map, and the pictures whose latents are nearest to it: nearest in truth, not on the map. */

import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { Neighbour } from "./latents.ts";

export interface Chosen {
  /** A small picture of it. */
  picture: HTMLCanvasElement | null;
  title: string;
  /** What kind of thing it is, and where. */
  facts: string;
  neighbours: { neighbour: Neighbour; picture: HTMLCanvasElement; label: string; heldOut: boolean }[];
}

export class Readout {
  readonly #body = h("div", { class: "chosen" });
  readonly #list = h("ol", { class: "neighbours" });
  readonly #title = h("h4", { hidden: true }, words().map.neighbours);
  readonly element: HTMLElement;
  readonly #go: (index: number) => void;
  #shown: string | null = null;

  /** `go` is told which neighbour was pressed; `count` is the field for how many are listed. */
  constructor(count: HTMLElement, go: (index: number) => void) {
    this.#go = go;
    const { chosen } = words().map;
    this.element = h("section", { class: "map-readout", "aria-label": chosen }, this.#body, h("div", { class: "neighbours-title" }, this.#title, count), this.#list);
    this.clear();
  }

  clear(): void {
    this.#shown = null;
    this.#title.hidden = true;
    this.element.classList.add("empty");
    this.#body.replaceChildren(h("p", { class: "hint" }, words().map.nothingChosen));
    this.#list.replaceChildren();
  }

  show({ picture, title, facts, neighbours }: Chosen): void {
    const text = words().map;
    this.element.classList.remove("empty");
    this.#body.replaceChildren(...(picture ? [picture] : []), h("div", {}, h("h3", {}, title), h("p", { class: "hint" }, facts)));
    this.#title.hidden = false;
    // While a run is scrubbed the neighbours mostly stay: then only the distances are written anew, and focus stays too.
    const these = neighbours.map(({ neighbour }) => neighbour.index).join(" ");
    const distances = neighbours.map(({ neighbour }) => `${number(neighbour.distance, 2)} σ`);
    if (these === this.#shown) {
      this.#list.querySelectorAll(".distance").forEach((element, i) => (element.textContent = distances[i]!));
      return;
    }
    this.#shown = these;
    this.#list.replaceChildren(
      ...neighbours.map(({ neighbour, picture, label, heldOut }, i) => {
        const words = heldOut ? text.labelHeldOut(label) : label;
        return h(
          "li",
          {},
          h(
            "button",
            { type: "button", class: "neighbour", "data-index": neighbour.index, onclick: () => this.#go(neighbour.index) },
            picture,
            h("span", { class: "name" }, words),
            h("span", { class: "distance" }, distances[i]!),
          ),
        );
      }),
    );
  }
}
