/** A picture half dissolved in noise, and made anew as another class: what noise takes away first, and last. */

import { duration, number } from "../../format.ts";
import { beforeStep, distance, standard, unstandard } from "../../latents.ts";
import type { Picture, StepReport } from "../../protocol.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { ClassSelect } from "../../ui/classes.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import type { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { type End, finished } from "./ends.ts";
import { type Keep, saveButton } from "./keep.ts";
import { classesOf } from "./model.ts";
import type { View } from "./view.ts";

/** The slider rests so long, in milliseconds, before its picture is made. */
const RESTED = 200;

export class Edit implements View {
  readonly sides = ["a"] as const;
  readonly label = words().mix.goEdit;
  readonly controls: HTMLElement;
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #class: ClassSelect;
  readonly #seed = h("input", { id: "edit-seed", type: "text", inputmode: "numeric", autocomplete: "off" });
  readonly #time = h("output", { for: "edit-time" });
  readonly #frames = [0, 1, 2].map(() => new Frame(words().shell.noPicture));
  readonly #captions = [0, 1, 2].map(() => h("figcaption", {}));
  #name = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #made = false;

  /** `again` does what the button does. */
  constructor(lab: Lab, keep: Omit<Keep, "name">, refuse: (error: PageError) => void, again: () => void) {
    this.#lab = lab;
    const { store, signal, model } = lab;
    const text = words().mix;
    const kept = { ...keep, name: () => this.#name };
    this.#class = new ClassSelect({ part: "mix", name: "editClass", id: "edit-class", classes: model.classes, usual: classesOf(model, "b") ?? "", store, signal, refuse });
    const slider = h("input", { type: "range", id: "edit-time", min: 0.05, max: 1, step: 0.05 });
    bind(slider, "mix", "time", store, signal);
    bind(this.#seed, "mix", "aSeed", store, signal);
    this.controls = h(
      "div",
      { class: "settings view-controls" },
      h("div", { class: "setting" }, h("label", { for: "edit-class" }, text.editClass), this.#class.element),
      h("div", { class: "setting" }, h("label", { for: "edit-seed" }, text.editSeed), this.#seed),
      h("div", { class: "setting wide" }, h("label", { for: "edit-time" }, text.editTime, h("span", { class: "term" }, ` ${text.editTimeTerm}`)), h("div", { class: "joined" }, slider, this.#time), h("p", { class: "hint" }, text.editTimeHint)),
    );
    const parts = ["original", "noised", "result"] as const;
    this.element = h(
      "div",
      { class: "triple", hidden: true },
      ...parts.map((part, i) =>
        h(
          "figure",
          {},
          h("div", { class: "frame" }, this.#frames[i]!.canvas),
          this.#captions[i]!,
          saveButton(lab, kept, text.savePicture, () => this.#frames[i]!.picture && { picture: this.#frames[i]!.picture, name: part }),
        ),
      ),
    );
    const show = () => {
      const { time } = store.get().mix;
      this.#time.textContent = number(time, 2);
      slider.setAttribute("aria-valuetext", text.noiseShare(number(time, 2)));
    };
    store.subscribe((state, before) => {
      show();
      if (!this.#made || (state.mix.time === before.mix.time && state.mix.editClass === before.mix.editClass)) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(again, RESTED);
    }, signal);
    signal.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
    show();
  }

  key(): string {
    const { aSeed, steps, guidance } = this.#lab.store.get().mix;
    return [aSeed, steps, guidance].join(" ");
  }

  async run(ends: readonly End[], signal: AbortSignal, task: Task): Promise<string> {
    const original = ends[0]!;
    const chosen = this.#class.chosen;
    if (!chosen) throw new PageError("setting", words().generate.noClass, words().generate.noClassAdvice);
    if (!isValid(this.#seed)) throw new PageError("setting", words().generate.badSeed(this.#seed.value.trim().slice(0, 30)));
    const { client, manifest, model, store } = this.#lab;
    const { aSeed: seed, steps, guidance, time } = store.get().mix;
    const text = words().mix;
    const began = performance.now();
    const request = { class: chosen.name, seed, steps, guidance, sampler: "euler" as const, start: time };
    const reports: StepReport[] = [];
    const [made] = await finished(this.#lab, [request], signal, task, { from: [original.latents], watch: (step) => reports.length < 2 && reports.push(step) });
    const [first, second] = reports as [StepReport, StepReport];
    // What the run began with is not reported; its first step tells.
    const noised = unstandard(beforeStep(model.path, first.t, second.t, standard(first.clean, model), standard(first.state, model)), model);
    const { pictures } = await client.decode(manifest, noised, false, signal);
    const { psnr } = await client.score(original.picture, made!.picture);
    const shown: readonly [Picture, string][] = [
      [original.picture, text.editOriginal],
      [pictures[0]!, text.editNoised(number(time, 2))],
      [made!.picture, text.editResult(words().generate.label(chosen.label))],
    ];
    shown.forEach(([picture, caption], i) => {
      this.#frames[i]!.show(picture, caption);
      this.#captions[i]!.textContent = caption;
    });
    this.#name = `${original.name}-as-${chosen.name}-t${time}`;
    this.element.hidden = false;
    this.#made = true;
    const apart = number(distance(original.latents, made!.latents, model.latentStd), 2);
    return text.edited(duration(performance.now() - began), apart, Number.isFinite(psnr) ? number(psnr, 1) : "∞");
  }

  leave(): void {
    clearTimeout(this.#timer);
  }
}
