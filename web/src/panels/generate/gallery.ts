/** The classes as pictures, with a search for those who know what they want and a die for those who do not. */

import type { ModelClass } from "../../protocol.ts";
import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { Picker } from "../../ui/picker.ts";
import { words } from "../../words/index.ts";

export class Gallery {
  readonly #picker: Picker;
  readonly #search = h("input", { type: "search", id: "class-search", autocomplete: "off", spellcheck: "false", placeholder: words().generate.search, "aria-label": words().generate.search });
  readonly #found = h("p", { class: "hint found" });
  readonly #classes: readonly ModelClass[];
  readonly #say: (text: string) => void;
  readonly element: HTMLElement;

  /** `choose` is told what somebody wants; `say` what was found, for those who do not see it. */
  constructor(classes: readonly ModelClass[], choose: (name: string) => void, say: (text: string) => void) {
    const text = words().generate;
    this.#say = say;
    this.#classes = classes;
    this.#picker = new Picker(classes, choose);
    const random = h("button", { type: "button", class: "quiet random" }, h("span", { "aria-hidden": "true" }, "⚄ "), text.randomClass);
    this.element = h("div", { class: "gallery" }, this.#picker.element);
    this.#picker.element.querySelector("legend")!.after(h("div", { class: "find" }, this.#search, random), this.#found);
    this.#search.addEventListener("input", () => this.#filter());
    this.#search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      // Enter would send the form. The first that is found is what was meant.
      event.preventDefault();
      const [first] = this.#picker.filter(this.#search.value);
      if (first && this.#search.value.trim()) choose(first.name);
    });
    random.addEventListener("click", () => {
      const shown = this.#picker.filter(this.#search.value);
      const others = shown.filter(({ name }) => name !== this.chosen?.name);
      const from = others.length > 0 ? others : shown;
      if (from.length === 0) return;
      const { name } = from[crypto.getRandomValues(new Uint32Array(1))[0]! % from.length]!;
      choose(name);
      this.element.querySelector(`input[value="${CSS.escape(name)}"]`)?.closest("label")?.scrollIntoView({ block: "nearest" });
    });
  }

  get chosen(): ModelClass | null {
    return this.#picker.chosen;
  }

  /** As the picker's. */
  choose(name: string): boolean {
    return this.#picker.choose(name);
  }

  #filter(): void {
    const text = words().generate;
    const found = this.#picker.filter(this.#search.value);
    const all = found.length === this.#classes.length;
    const told = all ? "" : found.length === 0 ? text.noneFound : text.found(number(found.length), number(this.#classes.length));
    this.#found.textContent = told;
    if (told) this.#say(told);
  }
}
