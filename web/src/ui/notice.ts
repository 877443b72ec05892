/** What went wrong, in one sentence, with what to do and a button to do it. Announced at once (`role="alert"`). */

import type { ErrorDetail } from "../errors.ts";
import { h } from "./dom.ts";

export class Notice {
  /** There from the start: screen readers announce changes of an alert they know. */
  readonly element = h("div", { role: "alert", class: "alert" });

  show({ code, message, advice }: Pick<ErrorDetail, "code" | "message" | "advice">, retry?: () => void): void {
    const buttons = h("div", { class: "buttons" });
    if (retry) {
      buttons.append(h("button", { type: "button", class: "quiet", onclick: () => (this.clear(), retry()) }, "Try again"));
    }
    buttons.append(h("button", { type: "button", class: "quiet", onclick: () => this.clear() }, "Close"));
    this.element.dataset.code = code;
    this.element.replaceChildren(h("p", {}, h("strong", {}, message), advice ? ` ${advice}` : ""), buttons);
  }

  clear(): void {
    delete this.element.dataset.code;
    this.element.replaceChildren();
  }
}
