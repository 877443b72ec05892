/** A few choices side by side, of which one holds. Radio buttons underneath: arrow keys and screen readers know them. */

import { h } from "../../ui/dom.ts";

export class Segments<V extends string> {
  readonly element: HTMLElement;
  readonly #inputs = new Map<V, HTMLInputElement>();

  /** `name`: of the group in the page; `choose` is told what somebody has clicked. */
  constructor(name: string, label: string, options: readonly (readonly [V, string])[], choose: (value: V) => void) {
    this.element = h("fieldset", { class: "views" }, h("legend", { class: "visually-hidden" }, label));
    for (const [value, text] of options) {
      const input = h("input", { type: "radio", name, value, onchange: () => choose(value) });
      this.#inputs.set(value, input);
      this.element.append(h("label", {}, input, h("span", {}, text)));
    }
  }

  /** Chooses without telling. */
  choose(value: V): void {
    this.#inputs.get(value)!.checked = true;
  }
}
