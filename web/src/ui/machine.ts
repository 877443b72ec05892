/** What computes here and why: one sentence, a choice, and every finding for those who want to know. */

import type { Diagnosis } from "../diagnosis.ts";
import type { Wanted } from "../protocol.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";

const CHOICES: readonly Wanted[] = ["auto", "webgpu", "cpu"];

export class Machine {
  readonly #badge = h("span", { class: "badge" }, "…");
  readonly #words = h("p", { class: "reason" }, words().machine.looking);
  readonly #checks = h("table", { class: "checks" });
  readonly #again = h("button", { type: "button", class: "quiet" }, words().machine.retest);
  readonly #choice = h("select", { id: "device" }, ...CHOICES.map((value) => h("option", { value }, words().machine.choices[value])));
  /** Opens the details. Always there, so the focus can go to it. */
  readonly summary = h("summary", {}, words().machine.details);
  readonly element: HTMLElement;

  constructor(wanted: Wanted, choose: (wanted: Wanted) => void, retest: () => void) {
    this.#choice.value = wanted;
    this.#again.addEventListener("click", retest);
    this.#again.hidden = true;
    this.#choice.addEventListener("change", () => choose(this.#choice.value as Wanted));
    this.element = h(
      "section",
      { class: "machine", "aria-label": words().machine.label },
      this.#badge,
      this.#words,
      h(
        "details",
        {},
        this.summary,
        h("div", { class: "inner" }, h("label", { for: "device" }, `${words().machine.engine} `, this.#choice), this.#checks, this.#again),
      ),
    );
  }

  /** The question could not even be asked. */
  showUnknown(): void {
    this.#badge.textContent = "?";
    this.#words.textContent = words().machine.unknown;
  }

  show({ engine, badge, reason, advice, alert, webgpuUsable, checks }: Diagnosis): void {
    const { found, findings } = words().machine;
    this.#badge.textContent = found(badge);
    this.#badge.dataset.engine = engine ?? "none";
    // Something missing is said aloud at once, the rest is there to be read.
    this.#words.setAttribute("role", alert ? "alert" : "note");
    this.#words.replaceChildren(found(reason), advice ? h("span", { class: "advice" }, ` ${found(advice)}`) : "");
    const webgpu = this.#choice.querySelector<HTMLOptionElement>("option[value=webgpu]");
    if (webgpu) webgpu.disabled = !webgpuUsable;
    this.#again.hidden = engine !== "webgpu";
    this.#checks.replaceChildren(
      h("caption", {}, findings),
      h("tbody", {}, ...checks.map(({ name, ok, value }) => h("tr", {}, h("td", { class: ok ? "yes" : "no" }, ok ? "✓" : "–"), h("th", { scope: "row" }, ...breakable(found(name))), h("td", {}, found(value))))),
    );
  }
}

/** A long name in one word may be broken before its capitals. */
function breakable(name: string): (Node | string)[] {
  return name.split(/(?<=[a-z])(?=[A-Z])/).flatMap((part, i) => (i === 0 ? [part] : [h("wbr"), part]));
}
