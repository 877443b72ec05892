/** A line of text to be taken along: shown, so that it can be selected by hand, with a button that copies it. */

import { words } from "../words/index.ts";
import { h } from "./dom.ts";

/** So long the button says that it has copied, in milliseconds. */
const SAID = 2500;

export class CopyField {
  readonly #field: HTMLInputElement;
  readonly #button: HTMLButtonElement;
  readonly #told = h("p", { class: "hint told" });
  readonly element: HTMLElement;
  readonly #text: () => string;
  readonly #label: string;
  readonly #say: (text: string) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `text` is asked for what to copy; `label` is the button's. */
  constructor(id: string, name: string, label: string, text: () => string, say: (text: string) => void) {
    this.#text = text;
    this.#label = label;
    this.#say = say;
    this.#field = h("input", { type: "text", id, readonly: true, spellcheck: "false", class: "code" });
    this.#button = h("button", { type: "button", class: "quiet" }, label);
    this.element = h("div", { class: "copy" }, h("label", { for: id }, name), h("div", { class: "joined" }, this.#field, this.#button), this.#told);
    this.#button.addEventListener("click", () => void this.#copy());
    this.#field.addEventListener("focus", () => this.#field.select());
    this.update();
  }

  update(): void {
    this.#field.value = this.#text();
    this.#told.textContent = "";
  }

  async #copy(): Promise<void> {
    const { copied, notCopied } = words().shell.copy;
    this.update();
    clearTimeout(this.#timer);
    try {
      // Undefined on a page without a secure address.
      await navigator.clipboard.writeText(this.#field.value);
    } catch {
      this.#field.focus();
      this.#field.select();
      this.#told.textContent = notCopied;
      return this.#say(notCopied);
    }
    this.#button.textContent = copied;
    this.#say(copied);
    this.#timer = setTimeout(() => (this.#button.textContent = this.#label), SAID);
  }
}
