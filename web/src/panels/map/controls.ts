/** The form of a run on the map, and the slider that goes along it. */

import { number } from "../../format.ts";
import type { SampleRequest } from "../../protocol.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";

/** Steps shown in a second while the path is played. */
const PACE = 8;

export class RunControls {
  readonly #lab: Lab;
  readonly #class: HTMLSelectElement;
  readonly #seed = h("input", { type: "text", id: "map-seed", inputmode: "numeric", autocomplete: "off" });
  readonly #steps = h("input", { type: "number", id: "map-steps", min: 1, max: 1000 });
  readonly #guidance = h("input", { type: "range", id: "map-guidance", min: 1, max: 20, step: 0.1 });
  readonly #guidanceValue = h("output", { for: "map-guidance" });
  readonly #path: HTMLSelectElement;
  readonly #slider = h("input", { type: "range", id: "map-step", min: 0, max: 0, step: 1, value: 0 });
  readonly #play = h("button", { type: "button", class: "quiet" }, words().map.play);
  /** The slider along the path: under the map, not in the form. */
  readonly scrub: HTMLElement;
  readonly go = h("button", { type: "submit" }, words().map.run);
  readonly element: HTMLFormElement;
  readonly #look: (index: number) => void;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `run` begins one; `look` is told which step to show, from 0. */
  constructor(lab: Lab, run: () => void, look: (index: number) => void) {
    this.#lab = lab;
    this.#look = look;
    const { store, signal } = lab;
    const text = words().map;
    const { label, seed, steps, guidance, dice } = words().generate;
    // The first has no name here, as in the generator's link.
    this.#class = h("select", { id: "map-class" }, ...lab.model.classes.map((entry) => h("option", { value: entry.name }, label(entry.label))));
    this.#path = h("select", { id: "map-path" }, ...(["both", "clean", "state"] as const).map((value) => h("option", { value }, text.paths[value])));
    const setting = (name: string, control: HTMLElement, ...beside: HTMLElement[]) =>
      h("div", { class: "setting" }, h("label", { for: control.id }, name), beside.length > 0 ? h("div", { class: "joined" }, control, ...beside) : control);
    const roll = h("button", { type: "button", class: "dice", title: dice, "aria-label": dice }, "⚄");
    this.scrub = h("div", { class: "scrub", hidden: true }, h("label", { for: "map-step" }, text.along), h("div", { class: "joined" }, this.#play, this.#slider));
    this.element = h(
      "form",
      { class: "run", novalidate: true },
      h("h3", {}, text.runTitle),
      h("p", { class: "hint" }, text.runHint),
      h(
        "div",
        { class: "run-settings" },
        setting(text.class, this.#class),
        setting(seed, this.#seed, roll),
        setting(steps, this.#steps),
        setting(guidance, this.#guidance, this.#guidanceValue),
        setting(text.path, this.#path),
      ),
      this.go,
    );
    this.element.addEventListener("submit", (event) => (event.preventDefault(), run()));
    roll.addEventListener("click", () => store.set({ map: { seed: String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000) } }));
    this.#class.addEventListener("change", () => store.set({ map: { class: this.#class.value } }));
    bind(this.#seed, "map", "seed", store, signal);
    bind(this.#steps, "map", "steps", store, signal);
    bind(this.#guidance, "map", "guidance", store, signal);
    bind(this.#path, "map", "path", store, signal);
    const show = () => {
      const { class: name, guidance } = store.get().map;
      this.#class.value = name || (lab.model.classes[0]?.name ?? "");
      this.#guidanceValue.textContent = number(guidance, 1);
    };
    store.subscribe(show, signal);
    show();
    this.#slider.addEventListener("input", () => {
      this.#pause();
      this.#turn(this.#slider.valueAsNumber);
    });
    this.#play.addEventListener("click", () => (this.#timer === undefined ? this.play() : this.#pause()));
    signal.addEventListener("abort", () => this.#pause(), { once: true });
  }

  /** Throws a `PageError` about what is typed and cannot be. */
  request(): SampleRequest {
    const { noClass, noClassAdvice, badSeed, badSteps, unknownClass } = words().generate;
    const { store, model } = this.#lab;
    const { class: name, seed, steps, guidance } = store.get().map;
    if (!model.classes[0]) throw new PageError("setting", noClass, noClassAdvice);
    if (name !== "" && !model.classes.some((entry) => entry.name === name)) {
      store.set({ map: { class: "" } }, { undoable: false });
      throw new PageError("unknown-class", unknownClass(name));
    }
    if (!isValid(this.#seed)) throw new PageError("setting", badSeed(this.#seed.value.trim().slice(0, 30)));
    if (!isValid(this.#steps)) throw new PageError("setting", badSteps(this.#steps.value));
    return { class: name || model.classes[0].name, seed, steps, guidance, sampler: "euler" };
  }

  /** How many steps there are to look at; the last is shown if the slider stood there. */
  set length(count: number) {
    const last = this.#slider.max === this.#slider.value;
    this.#slider.max = String(Math.max(0, count - 1));
    this.scrub.hidden = count < 2;
    if (count === 0) this.#slider.value = "0";
    else if (last) this.#turn(count - 1);
  }

  /** The step that is looked at. */
  get at(): number {
    return this.#slider.valueAsNumber;
  }

  /** What the slider's place means, for those who do not see the map. */
  describe(words: string): void {
    this.#slider.setAttribute("aria-valuetext", words);
  }

  /** Goes along the path by itself, from its beginning if it is at its end. */
  play(): void {
    if (this.#slider.value === this.#slider.max) this.#turn(0);
    this.#play.textContent = words().map.pause;
    this.#timer = setInterval(() => {
      this.#turn(this.#slider.valueAsNumber + 1);
      if (this.#slider.value === this.#slider.max) this.#pause();
    }, 1000 / PACE);
  }

  #pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#play.textContent = words().map.play;
  }

  #turn(index: number): void {
    this.#slider.value = String(index);
    this.#look(index);
  }
}
