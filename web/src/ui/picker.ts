/** The classes as pictures to click. Real radio buttons underneath, so arrow keys, labels and forms work by themselves. */

import type { ModelClass } from "../protocol.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";

export class Picker {
  readonly element: HTMLElement;
  readonly #classes: Map<string, ModelClass>;
  readonly #inputs = new Map<string, HTMLInputElement>();

  /** `choose` is told what somebody has clicked. */
  constructor(classes: readonly ModelClass[], choose: (name: string) => void) {
    const { class: title, classTerm, group } = words().generate;
    const lists = h("div", { class: "lists" });
    this.element = h("fieldset", { class: "picker" }, h("legend", {}, title, h("span", { class: "term" }, ` ${classTerm}`)), lists);
    this.#classes = new Map(classes.map((entry) => [entry.name, entry]));
    const groups = new Map<string, ModelClass[]>();
    for (const entry of classes) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
    for (const [name, members] of groups) {
      if (name && groups.size > 1) lists.append(h("p", { class: "group" }, group(name)));
      lists.append(h("div", { class: "classes" }, ...members.map((entry) => this.#option(entry))));
    }
    this.element.addEventListener("change", () => {
      if (this.chosen) choose(this.chosen.name);
    });
  }

  /** The chosen class; null while there is none. */
  get chosen(): ModelClass | null {
    const input = [...this.#inputs.values()].find((one) => one.checked);
    return (input && this.#classes.get(input.value)) ?? null;
  }

  /** Chooses without telling; an empty name is the first class. False: there is no such class. */
  choose(name: string): boolean {
    const input = name === "" ? this.#inputs.values().next().value : this.#inputs.get(name);
    if (input) input.checked = true;
    return input !== undefined;
  }

  /**
   * Shows the classes that have all words of `query` in their name, label or group, and returns them. What is chosen stays
   * chosen, shown or not.
   */
  filter(query: string): ModelClass[] {
    const { label, group } = words().generate;
    const wanted = plain(query).split(/\s+/).filter(Boolean);
    const fits = (entry: ModelClass) => {
      const text = plain([entry.name, entry.label, label(entry.label), entry.group, group(entry.group)].join(" "));
      return wanted.every((word) => text.includes(word));
    };
    const found = [...this.#classes.values()].filter(fits);
    const shown = new Set(found.map(({ name }) => name));
    for (const [name, input] of this.#inputs) input.closest("label")!.hidden = !shown.has(name);
    for (const list of this.element.querySelectorAll<HTMLElement>(".classes")) {
      const empty = ![...list.children].some((child) => !(child as HTMLElement).hidden);
      list.hidden = empty;
      const heading = list.previousElementSibling;
      if (heading?.matches(".group")) (heading as HTMLElement).hidden = empty;
    }
    return found;
  }

  #option({ name, label, thumbnail }: ModelClass): HTMLElement {
    const shown = words().generate.label(label);
    const letters = () => h("span", { class: "letters", "aria-hidden": "true" }, shown.slice(0, 2));
    const image = thumbnail ? h("img", { src: thumbnail, alt: "", width: 64, height: 64, loading: "lazy", decoding: "async" }) : letters();
    // A picture that does not load leaves the label, which says the same.
    image.addEventListener("error", () => image.replaceWith(letters()));
    const input = h("input", { type: "radio", name: "class", value: name });
    this.#inputs.set(name, input);
    return h("label", { class: "class" }, input, image, h("span", { class: "name" }, shown));
  }
}

/** Without capitals and accents: “Schlösser” is found as “schlosser”. */
function plain(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
