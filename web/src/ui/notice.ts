/** What went wrong, in one sentence, with what to do and a button to do it. Announced at once (`role="alert"`). */

import type { ErrorDetail } from "../errors.ts";
import { words } from "../words/index.ts";
import { told } from "../words/told.ts";
import { h } from "./dom.ts";

export class Notice {
  /** There from the start: screen readers announce changes of an alert they know. */
  readonly element = h("div", { role: "alert", class: "alert" });
  readonly #home: HTMLElement;
  /** What had the focus when the notice came up. */
  #before: Element | null = null;

  /** `home` gets the focus when the button pressed here vanishes and what had it before has vanished too. */
  constructor(home: HTMLElement) {
    this.#home = home;
  }

  /** The code of what is shown; none if nothing is. */
  get code(): string | undefined {
    return this.element.dataset.code;
  }

  /** Says it in the language of the page; `retry` is what the button does. */
  show(error: Pick<ErrorDetail, "code" | "message" | "advice">, retry?: () => void): void {
    const { message, advice } = told(error);
    const { tryAgain, close: closeIt } = words().shell;
    const focused = this.#focused;
    if (!focused) this.#before = document.activeElement;
    const buttons = h("div", { class: "buttons" });
    if (retry) {
      buttons.append(h("button", { type: "button", class: "quiet", onclick: () => (this.clear(), retry()) }, tryAgain));
    }
    const close = h("button", { type: "button", class: "quiet", onclick: () => this.clear() }, closeIt);
    buttons.append(close);
    this.element.dataset.code = error.code;
    this.element.replaceChildren(h("p", {}, h("strong", {}, message), advice ? ` ${advice}` : ""), buttons);
    if (focused) close.focus();
  }

  clear(): void {
    const focused = this.#focused;
    delete this.element.dataset.code;
    this.element.replaceChildren();
    if (focused) (takesFocus(this.#before) ? this.#before : this.#home).focus();
    this.#before = null;
  }

  get #focused(): boolean {
    return this.element.contains(document.activeElement);
  }
}

function takesFocus(element: Element | null): element is HTMLElement {
  return element instanceof HTMLElement && element !== document.body && element.checkVisibility() && !element.matches(":disabled");
}
