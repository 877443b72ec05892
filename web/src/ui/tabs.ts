/**
 * Tabs as the ARIA Authoring Practices describe them: one stop of the Tab key, arrow keys, Home and End within, and the
 * tab that has the focus is the one that is shown.
 */

import { h } from "./dom.ts";

export interface Tab<N extends string> {
  name: N;
  title: string;
  /** What it shows. */
  panel: HTMLElement;
}

export class Tabs<N extends string> {
  readonly element: HTMLElement;
  readonly #buttons = new Map<N, HTMLButtonElement>();
  readonly #panels = new Map<N, HTMLElement>();
  readonly #choose: (name: N) => void;

  /** `choose` is told of a wish; who grants it calls `select`. */
  constructor(label: string, tabs: readonly Tab<N>[], choose: (name: N) => void) {
    this.#choose = choose;
    this.element = h("div", { class: "tabs", role: "tablist", "aria-label": label });
    for (const { name, title, panel } of tabs) {
      const button = h("button", { type: "button", role: "tab", id: `tab-${name}`, class: "tab", "aria-controls": `panel-${name}`, "aria-selected": "false", tabindex: -1 }, title);
      button.addEventListener("click", () => this.#choose(name));
      panel.id = `panel-${name}`;
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", button.id);
      panel.hidden = true;
      this.#buttons.set(name, button);
      this.#panels.set(name, panel);
      this.element.append(button);
    }
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  select(chosen: N): void {
    for (const [name, button] of this.#buttons) {
      const selected = name === chosen;
      button.setAttribute("aria-selected", String(selected));
      button.tabIndex = selected ? 0 : -1;
      this.#panels.get(name)!.hidden = !selected;
    }
    const button = this.#buttons.get(chosen);
    // Within the row of tabs only: the page stays where it is.
    if (button) this.element.scrollTo({ left: button.offsetLeft - (this.element.clientWidth - button.offsetWidth) / 2 });
  }

  /** Takes a tab away: there is nothing for it to show. */
  remove(name: N): void {
    this.#buttons.get(name)?.remove();
    this.#panels.get(name)?.remove();
    this.#buttons.delete(name);
    this.#panels.delete(name);
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const names = [...this.#buttons.keys()];
    const at = names.findIndex((name) => this.#buttons.get(name) === document.activeElement);
    if (at < 0) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 + names.length, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const name = names[to % names.length]!;
    this.#choose(name);
    this.#buttons.get(name)!.focus();
  }
}
