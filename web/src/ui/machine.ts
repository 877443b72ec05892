/** What computes here and why: one sentence, a choice, and every finding for those who want to know. */

import type { Diagnosis } from "../diagnosis.ts";
import type { Wanted } from "../protocol.ts";
import { h } from "./dom.ts";

const CHOICES: [Wanted, string][] = [
  ["auto", "Automatic"],
  ["webgpu", "Graphics processor (WebGPU)"],
  ["cpu", "Processor (WebAssembly)"],
];

export class Machine {
  readonly #badge = h("span", { class: "badge" }, "…");
  readonly #words = h("p", { class: "reason" }, "Looking at what this browser can do…");
  readonly #checks = h("table", { class: "checks" });
  readonly #again = h("button", { type: "button", class: "quiet" }, "Test the kernels again");
  readonly #choice = h("select", { id: "device" }, ...CHOICES.map(([value, label]) => h("option", { value }, label)));
  /** Opens the details. Always there, so the focus can go to it. */
  readonly summary = h("summary", {}, "Details and choice");
  readonly element: HTMLElement;

  constructor(wanted: Wanted, choose: (wanted: Wanted) => void, retest: () => void) {
    this.#choice.value = wanted;
    this.#again.addEventListener("click", retest);
    this.#again.hidden = true;
    this.#choice.addEventListener("change", () => choose(this.#choice.value as Wanted));
    this.element = h(
      "section",
      { class: "machine", "aria-label": "What computes here" },
      this.#badge,
      this.#words,
      h(
        "details",
        {},
        this.summary,
        h("div", { class: "inner" }, h("label", { for: "device" }, "Engine ", this.#choice), this.#checks, this.#again),
      ),
    );
  }

  /** The question could not even be asked. */
  showUnknown(): void {
    this.#badge.textContent = "?";
    this.#words.textContent = "It is not known what this browser can do.";
  }

  show({ engine, badge, reason, advice, alert, webgpuUsable, checks }: Diagnosis): void {
    this.#badge.textContent = badge;
    this.#badge.dataset.engine = engine ?? "none";
    // Something missing is said aloud at once, the rest is there to be read.
    this.#words.setAttribute("role", alert ? "alert" : "note");
    this.#words.replaceChildren(reason, advice ? h("span", { class: "advice" }, ` ${advice}`) : "");
    const webgpu = this.#choice.querySelector<HTMLOptionElement>("option[value=webgpu]");
    if (webgpu) webgpu.disabled = !webgpuUsable;
    this.#again.hidden = engine !== "webgpu";
    this.#checks.replaceChildren(
      h("caption", {}, "What was found"),
      h("tbody", {}, ...checks.map(({ name, ok, value }) => h("tr", {}, h("td", { class: ok ? "yes" : "no" }, ok ? "✓" : "–"), h("th", { scope: "row" }, ...breakable(name)), h("td", {}, value)))),
    );
  }
}

/** A long name in one word may be broken before its capitals. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?<=[a-z])(?=[A-Z])/).flatMap((part, i) => (i === 0 ? [part] : [h("wbr"), part]));
}
