/** The runs of this visit as little pictures: a click brings back the settings and the film. */

import type { Picture } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { paint } from "../../ui/frame.ts";
import { words } from "../../words/index.ts";
import type { Film } from "./film.ts";
import { sheet } from "./sheet.ts";

/** So many are kept: their latents are small, but the row is to be overlooked. */
const MOST = 24;

export class History {
  readonly #list = h("div", { class: "runs", role: "list" });
  readonly element: HTMLElement;
  readonly #choose: (film: Film) => void;
  readonly #name: (film: Film) => string;
  #entries: { film: Film; button: HTMLButtonElement; item: HTMLElement }[] = [];

  /** `choose` hears which run somebody wants back; `name` says what it was. */
  constructor(choose: (film: Film) => void, name: (film: Film) => string) {
    this.#choose = choose;
    this.#name = name;
    const { runs, runsHint } = words().generate;
    this.element = h("section", { class: "history", hidden: true, "aria-labelledby": "runs-title" }, h("h3", { id: "runs-title" }, runs), h("p", { class: "hint" }, runsHint), this.#list);
  }

  /** Puts a run in front. One that was made while controls moved takes the place of the last such. */
  add(film: Film, pictures: readonly Picture[]): void {
    const [latest] = this.#entries;
    if (film.live && latest?.film.live) this.#drop(latest);
    const canvas = h("canvas");
    paint(canvas, sheet(pictures));
    const name = this.#name(film);
    const button = h("button", { type: "button", class: "run", title: name, "aria-label": name }, canvas);
    button.addEventListener("click", () => this.#choose(film));
    const entry = { film, button, item: h("div", { role: "listitem" }, button) };
    this.#entries.unshift(entry);
    this.#list.prepend(entry.item);
    this.#list.scrollLeft = 0;
    for (const old of this.#entries.slice(MOST)) this.#drop(old);
    this.element.hidden = false;
    this.mark(film);
  }

  /** While a run is under way there is nothing to go back to. */
  set enabled(value: boolean) {
    for (const { button } of this.#entries) button.disabled = !value;
  }

  /** Marks the run that is shown. */
  mark(film: Film | null): void {
    for (const entry of this.#entries) {
      if (entry.film === film) entry.button.setAttribute("aria-current", "true");
      else entry.button.removeAttribute("aria-current");
    }
  }

  #drop(entry: { film: Film; item: HTMLElement }): void {
    this.#entries = this.#entries.filter(({ film }) => film !== entry.film);
    entry.item.remove();
  }
}
