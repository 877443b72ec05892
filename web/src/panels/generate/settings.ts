/** The form: class, seed, steps, guidance and when it acts, sampler, number of pictures. Its values are the store's. */

import { number } from "../../format.ts";
import type { ModelClass, SampleRequest } from "../../protocol.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import type { GenerateSettings } from "./film.ts";
import { Gallery } from "./gallery.ts";
import { interval } from "./interval.ts";

/** Name of the form, for the button that sends it from elsewhere. */
export const FORM = "request";

const SAMPLERS: readonly SampleRequest["sampler"][] = ["euler", "heun", "sde"];

export class Settings {
  readonly #lab: Lab;
  readonly #gallery: Gallery;
  readonly #seed = h("input", { id: "seed", type: "text", inputmode: "numeric", autocomplete: "off", "aria-describedby": "seed-help" });
  readonly #steps = h("input", { id: "steps", type: "number", min: 1, max: 1000, "aria-describedby": "steps-help" });
  readonly #guidance = h("input", { id: "guidance", type: "range", min: 1, max: 20, step: 0.1, "aria-describedby": "guidance-help" });
  readonly #guidanceValue = h("output", { for: "guidance" });
  readonly #count = h("input", { id: "count", type: "number", min: 1, max: 16, "aria-describedby": "count-help" });
  readonly #sampler: HTMLSelectElement;
  readonly element: HTMLFormElement;

  /** `refuse` hears of a class that this model does not have. */
  constructor(lab: Lab, submit: () => void, refuse: (error: PageError) => void) {
    this.#lab = lab;
    const { store, signal } = lab;
    const text = words().generate;
    this.#gallery = new Gallery(lab.model.classes, (name) => store.set({ generate: { class: name } }), lab.say);
    this.#sampler = h("select", { id: "sampler" }, ...SAMPLERS.map((value) => h("option", { value }, text.samplers[value])));
    const dice = h("button", { type: "button", class: "dice", title: text.dice, "aria-label": text.dice }, "⚄");
    this.element = h(
      "form",
      { id: FORM, novalidate: true, class: "controls" },
      this.#gallery.element,
      h(
        "div",
        { class: "settings" },
        h("div", { class: "setting" }, label("seed", text.seed, text.seedTerm), h("div", { class: "joined" }, this.#seed, dice), h("p", { class: "hint", id: "seed-help" }, text.seedHint)),
        h("div", { class: "setting" }, label("steps", text.steps), this.#steps, h("p", { class: "hint", id: "steps-help" }, text.stepsHint)),
        h("div", { class: "setting wide" }, label("guidance", text.guidance, text.guidanceTerm), h("div", { class: "joined" }, this.#guidance, this.#guidanceValue), h("p", { class: "hint", id: "guidance-help" }, text.guidanceHint)),
        interval(lab),
        h("div", { class: "setting" }, label("sampler", text.sampler, text.samplerTerm), this.#sampler),
        h("div", { class: "setting" }, label("count", text.count), this.#count, h("p", { class: "hint", id: "count-help" }, text.countHint)),
      ),
    );
    this.element.addEventListener("submit", (event) => (event.preventDefault(), submit()));
    dice.addEventListener("click", () => store.set({ generate: { seed: String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000) } }));

    bind(this.#seed, "generate", "seed", store, signal);
    bind(this.#steps, "generate", "steps", store, signal);
    bind(this.#guidance, "generate", "guidance", store, signal);
    bind(this.#sampler, "generate", "sampler", store, signal);
    bind(this.#count, "generate", "count", store, signal);
    const show = () => {
      const { class: name, guidance } = store.get().generate;
      this.#guidanceValue.textContent = number(guidance, 1);
      if (this.#gallery.choose(name)) return;
      store.set({ generate: { class: "" } }, { undoable: false });
      refuse(new PageError("unknown-class", text.unknownClass(name)));
    };
    store.subscribe(show, signal);
    show();
  }

  /** What to compute, the class by name, and the class's name for people. Throws a `PageError` about what is typed and cannot be. */
  request(): { settings: GenerateSettings; label: string } {
    const text = words().generate;
    const chosen: ModelClass | null = this.#gallery.chosen;
    if (!chosen) throw new PageError("setting", text.noClass, text.noClassAdvice);
    if (!isValid(this.#seed)) throw new PageError("setting", text.badSeed(this.#seed.value.trim().slice(0, 30)));
    if (!isValid(this.#steps)) throw new PageError("setting", text.badSteps(this.#steps.value));
    if (!isValid(this.#count)) throw new PageError("setting", text.badCount(this.#count.value));
    return { settings: { ...this.#lab.store.get().generate, class: chosen.name }, label: text.label(chosen.label) };
  }
}

function label(id: string, name: string, term?: string): HTMLElement {
  return h("label", { for: id }, term ? `${name} ` : name, term ? h("span", { class: "term" }, term) : null);
}
