/** The classes with their marks: a list to search, in which one can be pressed to be shown alone. */

import type { ModelClass } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { type Look, trace } from "./palette.ts";
import { inkOf } from "./scene.ts";

/** Side of a mark in CSS pixels. */
const MARK = 14;

export class Legend {
  readonly element: HTMLElement;
  readonly #buttons = new Map<string, { button: HTMLButtonElement; words: string; canvas: HTMLCanvasElement; look: Look }>();
  readonly #groups: { title: HTMLElement | null; list: HTMLElement }[] = [];
  readonly #none = h("p", { class: "hint", hidden: true });
  readonly #search = h("input", { type: "search", id: "map-search", autocomplete: "off", spellcheck: "false" });

  /** `choose` is told a class's name, or the empty one for none. */
  constructor(classes: readonly ModelClass[], looks: readonly Look[], choose: (name: string) => void, signal: AbortSignal) {
    const text = words().map;
    this.element = h("div", { class: "map-classes", role: "group", "aria-labelledby": "map-legend" }, h("label", { for: "map-search", id: "map-legend" }, text.legend), this.#search);
    for (const group of new Set(classes.map((entry) => entry.group))) {
      const title = group ? h("p", { class: "group" }, words().generate.group(group)) : null;
      const list = h("div", { class: "marks" });
      classes.forEach((entry, i) => {
        if (entry.group !== group) return;
        const label = words().generate.label(entry.label);
        const canvas = h("canvas", { class: "mark", "aria-hidden": "true" });
        const button = h("button", { type: "button", class: "mark-button", "aria-pressed": "false" }, canvas, h("span", {}, label));
        button.addEventListener("click", () => choose(button.getAttribute("aria-pressed") === "true" ? "" : entry.name));
        this.#buttons.set(entry.name, { button, words: `${label} ${entry.name} ${words().generate.group(group)}`.toLowerCase(), canvas, look: looks[i]! });
        list.append(button);
      });
      this.#groups.push({ title, list });
      if (title) this.element.append(title);
      this.element.append(list);
    }
    this.element.append(this.#none);
    this.#search.addEventListener("input", () => this.#filter());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint(), { signal });
  }

  /** Marks one as pressed. */
  choose(name: string): void {
    for (const [own, { button }] of this.#buttons) button.setAttribute("aria-pressed", String(own === name));
  }

  /** Draws the marks, once they are on the page and have its colours. */
  paint(): void {
    const ratio = Math.min(3, devicePixelRatio || 1);
    for (const { canvas, look } of this.#buttons.values()) {
      canvas.width = canvas.height = Math.round(MARK * ratio);
      const context = canvas.getContext("2d");
      if (!context) return;
      context.scale(ratio, ratio);
      context.fillStyle = inkOf(canvas).dark ? look.dark : look.light;
      context.beginPath();
      trace(context, look.shape, MARK / 2, MARK / 2, 5);
      context.fill();
    }
  }

  #filter(): void {
    const wanted = this.#search.value.trim().toLowerCase();
    for (const { button, words } of this.#buttons.values()) button.hidden = !words.includes(wanted);
    for (const { title, list } of this.#groups) {
      const empty = [...list.children].every((child) => (child as HTMLElement).hidden);
      list.hidden = empty;
      if (title) title.hidden = empty;
    }
    this.#none.hidden = this.#groups.some(({ list }) => !list.hidden);
    this.#none.textContent = this.#none.hidden ? "" : words().map.noClass(this.#search.value.trim().slice(0, 30));
  }
}
