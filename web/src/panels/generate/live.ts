/**
 * Whether the picture can follow the controls while they move. That is a question of time, and the answer is measured: with
 * the last run, whose network calls are counted, and scaled to the settings at hand.
 */

import { duration } from "../../format.ts";
import { bind } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { evaluations, type GenerateSettings } from "./film.ts";

/** A run that takes longer, in milliseconds, does not keep up with a hand. */
export const FAST = 1500;

export class Live {
  readonly #lab: Lab;
  readonly #toggle = h("input", { type: "checkbox", id: "live", "aria-describedby": "live-help" });
  readonly #help = h("p", { class: "hint", id: "live-help" });
  readonly element = h("div", { class: "live" }, h("label", { class: "switch" }, this.#toggle, words().generate.live.name), this.#help);
  /** Milliseconds of one look of the network at one picture; null until a run was measured. */
  #each: number | null = null;

  constructor(lab: Lab) {
    this.#lab = lab;
    bind(this.#toggle, "generate", "live", lab.store, lab.signal);
    this.#tell();
  }

  /** A run of these settings took so long. */
  measure(settings: GenerateSettings, ms: number): void {
    this.#each = ms / (evaluations(settings) * settings.count);
    this.#tell();
  }

  /** What a run of the present settings would take, in milliseconds; null if nothing is known. */
  get estimate(): number | null {
    const settings = this.#lab.store.get().generate;
    return this.#each === null ? null : this.#each * evaluations(settings) * settings.count;
  }

  /** Whether the picture follows now. */
  get on(): boolean {
    const { estimate } = this;
    return this.#lab.store.get().generate.live && estimate !== null && estimate < FAST;
  }

  /** After a change of the settings. */
  update(): void {
    this.#tell();
  }

  #tell(): void {
    const text = words().generate.live;
    const { estimate } = this;
    if (!this.#lab.store.get().generate.live) this.#help.textContent = "";
    else if (estimate === null) this.#help.textContent = text.unmeasured;
    else if (estimate < FAST) this.#help.textContent = text.follows(duration(estimate));
    else this.#help.textContent = text.tooSlow(duration(estimate), duration(FAST));
  }
}
