/** Names and values, one under the other. */

import { h } from "../../ui/dom.ts";

/** A value, or none: then the row is left out. */
export type Fact = readonly [name: string, value: string | Node | null];

export function facts(rows: readonly Fact[]): HTMLElement {
  return h("dl", { class: "facts-list" }, ...rows.filter(([, value]) => value !== null).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** A part of the panel under its own heading. */
export function part(id: string, title: string, ...children: (Node | string | null)[]): HTMLElement {
  return h("section", { class: "part", "aria-labelledby": `machine-${id}` }, h("h3", { id: `machine-${id}` }, title), ...children);
}

/** A long name without spaces, which may be broken where it is too long for a phone. */
export function code(text: string): HTMLElement {
  return h("code", {}, text);
}
