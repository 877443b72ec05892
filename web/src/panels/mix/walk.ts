/** From one class to another, on the same noise: what lies between two embeddings. */

import { duration, number } from "../../format.ts";
import { shares } from "../../latents.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { ClassSelect } from "../../ui/classes.ts";
import { h } from "../../ui/dom.ts";
import type { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { type End, finished } from "./ends.ts";
import { Film } from "./film.ts";
import type { Keep } from "./keep.ts";
import { classesOf } from "./model.ts";
import type { View } from "./view.ts";

export class Walk implements View {
  readonly sides = [] as const;
  readonly label = words().mix.goWalk;
  readonly controls: HTMLElement;
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #film: Film;
  readonly #from: ClassSelect;
  readonly #to: ClassSelect;
  readonly #seed = h("input", { id: "walk-seed", type: "text", inputmode: "numeric", autocomplete: "off" });
  #name = "";
  #ends: [string, string] = ["", ""];

  constructor(lab: Lab, keep: Omit<Keep, "name">, refuse: (error: PageError) => void) {
    this.#lab = lab;
    const { store, signal, model } = lab;
    const text = words().mix;
    const select = (side: "a" | "b") => new ClassSelect({ part: "mix", name: `${side}Class`, id: `walk-${side}`, classes: model.classes, usual: classesOf(model, side) ?? "", store, signal, refuse });
    this.#from = select("a");
    this.#to = select("b");
    bind(this.#seed, "mix", "aSeed", store, signal);
    this.controls = h(
      "div",
      { class: "settings view-controls" },
      h("div", { class: "setting" }, h("label", { for: "walk-a" }, text.walkFrom), this.#from.element),
      h("div", { class: "setting" }, h("label", { for: "walk-b" }, text.walkTo), this.#to.element),
      h("div", { class: "setting" }, h("label", { for: "walk-seed" }, text.seed), this.#seed),
    );
    this.#film = new Film(lab, { id: "walk", keep: { ...keep, name: () => this.#name }, ends: () => this.#ends });
    this.element = this.#film.element;
  }

  key(): string {
    const { aSeed, steps, guidance, frames } = this.#lab.store.get().mix;
    return [this.#from.chosen?.name, this.#to.chosen?.name, aSeed, steps, guidance, frames].join(" ");
  }

  async run(_: readonly End[], signal: AbortSignal, task: Task): Promise<string> {
    const from = this.#from.chosen;
    const to = this.#to.chosen;
    if (!from || !to) throw new PageError("setting", words().generate.noClass, words().generate.noClassAdvice);
    if (!isValid(this.#seed)) throw new PageError("setting", words().generate.badSeed(this.#seed.value.trim().slice(0, 30)));
    const { aSeed: seed, steps, guidance, frames } = this.#lab.store.get().mix;
    const began = performance.now();
    const all = shares(frames);
    const requests = all.map((share) => ({ class: from.name, toward: { class: to.name, share }, seed, steps, guidance, sampler: "euler" as const }));
    const made = await finished(this.#lab, requests, signal, task);
    const { label } = words().generate;
    this.#ends = [label(from.label), label(to.label)];
    this.#name = `${from.name}-to-${to.name}-seed${seed}`;
    this.#film.set(all.map((share, i) => ({ share, picture: made[i]!.picture })));
    return words().mix.walked(number(frames), duration(performance.now() - began));
  }

  leave(): void {
    this.#film.pause();
  }
}
