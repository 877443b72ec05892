/** The classes as pictures to click. Real radio buttons underneath, so arrow keys, labels and forms work by themselves. */

import type { ModelClass } from "../protocol.ts";
import { h } from "./dom.ts";

export class Picker {
  readonly element = h("fieldset", { class: "picker" }, h("legend", {}, "What shall it be?", h("span", { class: "term" }, " (class)")));
  #classes = new Map<string, ModelClass>();

  fill(classes: ModelClass[]): void {
    this.#classes = new Map(classes.map((entry) => [entry.name, entry]));
    const groups = new Map<string, ModelClass[]>();
    for (const entry of classes) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
    let first = true;
    for (const [name, members] of groups) {
      const grid = h("div", { class: "classes" });
      for (const entry of members) {
        grid.append(option(entry, first));
        first = false;
      }
      if (name && groups.size > 1) this.element.append(h("p", { class: "group" }, name));
      this.element.append(grid);
    }
  }

  /** The chosen class; null while there is none. */
  get chosen(): ModelClass | null {
    const input = this.element.querySelector<HTMLInputElement>("input:checked");
    return (input && this.#classes.get(input.value)) ?? null;
  }
}

function option({ name, label, thumbnail }: ModelClass, checked: boolean): HTMLElement {
  const image = thumbnail
    ? h("img", { src: thumbnail, alt: "", width: 64, height: 64, loading: "lazy", decoding: "async" })
    : h("span", { class: "letters", "aria-hidden": "true" }, label.slice(0, 2));
  // A picture that does not load leaves the label, which says the same.
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "letters", "aria-hidden": "true" }, label.slice(0, 2))));
  return h("label", { class: "class" }, h("input", { type: "radio", name: "class", value: name, checked }), image, h("span", { class: "name" }, label));
}
