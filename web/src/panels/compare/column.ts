/** One column: its settings in a card, and what becomes of them in a frame. */

import { number } from "../../format.ts";
import type { ModelClass, SampleRequest } from "../../protocol.ts";
import { bind, type Control, isValid } from "../../ui/bind.ts";
import { ClassSelect } from "../../ui/classes.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import type { ColumnNumber } from "./fields.ts";
import { settingsOf } from "./presets.ts";

const SAMPLERS = ["euler", "heun", "sde"] as const;

export class Column {
  readonly n: ColumnNumber;
  readonly settings: HTMLElement;
  readonly figure: HTMLElement;
  readonly frame = new Frame(words().shell.noPicture);
  readonly caption = h("figcaption", {});
  readonly #lab: Lab;
  readonly #steps: HTMLInputElement;
  readonly #guidance: HTMLInputElement;
  readonly #low: HTMLInputElement;
  readonly #high: HTMLInputElement;

  /** `save` saves what the frame shows. */
  constructor(lab: Lab, n: ColumnNumber, refuse: (error: PageError) => void, save: (column: Column) => void) {
    this.#lab = lab;
    this.n = n;
    const { store, signal, model } = lab;
    const text = words().compare;
    const id = (name: string) => `compare-${name}${n}`;
    const tie = <C extends Control>(control: C, name: "sampler" | "steps" | "guidance" | "low" | "high"): C => {
      bind(control, "compare", `${name}${n}`, store, signal);
      return control;
    };
    const field = (name: string, label: string, control: HTMLElement) => h("div", { class: "setting" }, h("label", { for: id(name) }, label), control);
    const numeric = (name: "steps" | "guidance" | "low" | "high", min: number, max: number, step: number) => tie(h("input", { id: id(name), type: "number", min, max, step }), name);
    const sampler = tie(h("select", { id: id("sampler") }, ...SAMPLERS.map((value) => h("option", { value }, text.samplers[value]))), "sampler");
    const other = new ClassSelect({ part: "compare", name: `class${n}`, id: id("class"), classes: model.classes, usual: text.sharedClass, store, signal, refuse });
    this.#steps = numeric("steps", 1, 1000, 1);
    this.#guidance = numeric("guidance", 1, 20, 0.1);
    this.#low = numeric("low", 0, 1, 0.05);
    this.#high = numeric("high", 0, 1, 0.05);
    this.#low.setAttribute("aria-label", text.low);
    this.#high.setAttribute("aria-label", text.high);
    this.settings = h(
      "fieldset",
      { class: "column" },
      h("legend", {}, h("span", { class: `swatch ink-${n}`, "aria-hidden": "true" }), text.column(String(n))),
      field("sampler", text.sampler, sampler),
      h("div", { class: "short-fields" }, field("steps", words().generate.steps, this.#steps), field("guidance", text.guidance, this.#guidance)),
      h(
        "div",
        { class: "setting", role: "group", "aria-labelledby": id("interval") },
        h("span", { class: "label", id: id("interval") }, text.interval),
        h("div", { class: "joined" }, this.#low, h("span", { "aria-hidden": "true" }, "–"), this.#high),
      ),
      field("class", text.class, other.element),
    );
    this.figure = h(
      "figure",
      {},
      h("div", { class: "frame" }, this.frame.canvas),
      h("div", { class: "column-name" }, h("span", { class: `swatch ink-${n}`, "aria-hidden": "true" }), text.column(String(n))),
      this.caption,
      h("button", { type: "button", class: "quiet", "aria-label": text.saveColumn(String(n)), onclick: () => save(this) }, words().mix.savePicture),
    );
    this.frame.showNoise(model.imageSize);
  }

  /** What to compute with `shared` as the class of those that have none of their own. Throws a `PageError` about what cannot be. */
  request(shared: ModelClass, seed: string): SampleRequest {
    const text = words().compare;
    const named = (sentence: string) => `${text.column(String(this.n))}: ${sentence}`;
    if (!isValid(this.#steps)) throw new PageError("setting", named(words().generate.badSteps(this.#steps.value)));
    if (!isValid(this.#guidance)) throw new PageError("setting", named(words().mix.badGuidance(this.#guidance.value)));
    const { sampler, steps, guidance, low, high, class: own } = settingsOf(this.#lab.store.get().compare, this.n);
    if (!isValid(this.#low) || !isValid(this.#high) || low > high) throw new PageError("setting", named(text.badInterval));
    return { class: own || shared.name, seed, steps, guidance, sampler, interval: [low, high] };
  }

  /** In a few words, what is set. */
  summary(): string {
    const { sampler, steps, guidance } = settingsOf(this.#lab.store.get().compare, this.n);
    return words().compare.summary(words().compare.samplers[sampler], number(steps), number(guidance, guidance % 1 ? 1 : 0));
  }
}
