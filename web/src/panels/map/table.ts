/** The map in numbers, for those who do not see it: where each class lies and how far it spreads. */

import { number } from "../../format.ts";
import type { ModelClass } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { ClassFigures } from "./latents.ts";
import type { Projection } from "./projection.ts";

export class ClassTable {
  readonly element: HTMLDetailsElement;
  readonly #table = h("table", { class: "figures" });

  constructor() {
    const { table } = words().map;
    this.element = h(
      "details",
      { class: "class-table" },
      h("summary", {}, table.title),
      h("p", { class: "hint" }, table.hint),
      // Wider than a phone: it scrolls by itself, with the keyboard too.
      h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": table.title }, this.#table),
    );
  }

  /** `across` and `up` are counted from 0. */
  show(figures: readonly ClassFigures[], classes: readonly ModelClass[], projection: Projection, across: number, up: number): void {
    const { table, axis } = words().map;
    const column = (title: string) => h("th", { scope: "col" }, title);
    const cellOf = (value: string) => h("td", {}, value);
    this.#table.replaceChildren(
      h("thead", {}, h("tr", {}, column(table.class), column(table.pictures), column(table.heldOut), column(axis(number(across + 1))), column(axis(number(up + 1))), column(table.spread))),
      h(
        "tbody",
        {},
        ...figures.map(({ index, count, heldOut, centre, spread }) => {
          const place = projection.project(centre);
          return h(
            "tr",
            {},
            h("th", { scope: "row" }, words().generate.label(classes[index]!.label)),
            cellOf(number(count)),
            cellOf(number(heldOut)),
            cellOf(`${number(place[across]!, 2)} σ`),
            cellOf(`${number(place[up]!, 2)} σ`),
            cellOf(`${number(spread, 2)} σ`),
          );
        }),
      ),
    );
  }
}
