/** The whole panel as JSON, to be copied or saved: what one sends with a question. */

import { h, save } from "../../ui/dom.ts";
import type { Notice } from "../../ui/notice.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";

export class Report {
  readonly #collect: () => unknown;
  readonly #notice: Notice;
  readonly #say: (text: string) => void;
  readonly element: HTMLElement;

  /** `collect` gives what is known now. */
  constructor(collect: () => unknown, notice: Notice, say: (text: string) => void) {
    this.#collect = collect;
    this.#notice = notice;
    this.#say = say;
    const text = words().diagnosis.report;
    const copy = h("button", { type: "button", onclick: () => void this.copy(this.#text()) }, text.copy);
    const keep = h("button", { type: "button", class: "quiet", onclick: () => this.#save() }, text.save);
    this.element = h("div", { class: "report" }, h("div", { class: "buttons" }, copy, keep), h("p", { class: "hint" }, text.hint));
  }

  /** Copies a text, and says whether that was allowed. */
  async copy(text: string): Promise<void> {
    const { copied, notCopied, notCopiedAdvice } = words().diagnosis.report;
    try {
      await navigator.clipboard.writeText(text);
      this.#notice.clear();
      this.#say(copied);
    } catch {
      this.#notice.show(new PageError("io", notCopied, notCopiedAdvice));
    }
  }

  #text(): string {
    return JSON.stringify(this.#collect(), null, 2);
  }

  #save(): void {
    save(new Blob([this.#text()], { type: "application/json" }), "maetok-machine.json");
    this.#say(words().shell.saved);
  }
}
