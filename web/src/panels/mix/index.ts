/** Two pictures, two seeds or two classes mixed in the space of latents, and a picture edited there. */

import "../../style/mix.css";
import { asMaetokError } from "../../errors.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { boundSegments } from "../../ui/segments.ts";
import { Work } from "../../ui/work.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab, Panel } from "../panel.ts";
import { Between } from "./between.ts";
import { Edit } from "./edit.ts";
import { Ends } from "./ends.ts";
import { explainMix } from "./explain.ts";
import { canGenerate } from "./model.ts";
import { type Side, SourceCard } from "./source.ts";
import { Tokens } from "./tokens.ts";
import type { View } from "./view.ts";
import { Walk } from "./walk.ts";

export function create(lab: Lab): Panel {
  return new Mix(lab);
}

type Mode = "between" | "tokens" | "walk" | "edit";

class Mix implements Panel {
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #ends: Ends;
  readonly #work: Work;
  readonly #cards: Record<Side, SourceCard>;
  readonly #views: Record<Mode, View>;
  readonly #about = h("p", { class: "hint about" });
  readonly #steps = h("input", { id: "mix-steps", type: "number", min: 2, max: 1000 });
  readonly #guidance = h("input", { id: "mix-guidance", type: "number", min: 1, max: 20, step: 0.1 });
  readonly #settings: HTMLElement;
  readonly #sources: HTMLElement;
  /** The side that somebody was last busy with: a picture dropped or pasted is for it. */
  #touched: Side | null = null;
  /** With what settings each mode has been computed. */
  readonly #done = new Map<Mode, string>();

  constructor(lab: Lab) {
    this.#lab = lab;
    const { store, signal, model } = lab;
    const text = words().mix;
    this.#ends = new Ends(lab);
    this.#work = new Work(text.go, lab.say, () => void this.#go().then(() => this.#reveal()));
    const { notice } = this.#work;
    const refuse = (thrown: unknown) => notice.show(asMaetokError(thrown));
    const card = (side: Side) => new SourceCard(lab, side, refuse, () => (this.#touched = side));
    this.#cards = { a: card("a"), b: card("b") };
    const keep = { notice };
    this.#views = { between: new Between(lab, keep), tokens: new Tokens(lab, keep), walk: new Walk(lab, keep, refuse), edit: new Edit(lab, keep, refuse, () => void this.#go()) };
    const modes = boundSegments("mix", "mode", text.mode, text.modes, store, signal, false);
    if (!canGenerate(model)) for (const mode of ["walk", "edit"] as const) modes.allow(mode, false);
    bind(this.#steps, "mix", "steps", store, signal);
    bind(this.#guidance, "mix", "guidance", store, signal);
    this.#settings = h(
      "details",
      { class: "more" },
      h("summary", {}, text.more),
      h(
        "div",
        { class: "settings" },
        h("div", { class: "setting" }, h("label", { for: "mix-steps" }, words().generate.steps), this.#steps),
        h("div", { class: "setting" }, h("label", { for: "mix-guidance" }, `${words().generate.guidance} ${words().generate.guidanceTerm}`), this.#guidance),
      ),
    );
    this.#sources = h("div", { class: "sources" }, this.#cards.a.element, this.#cards.b.element);
    const views = Object.values(this.#views);
    this.element = h(
      "section",
      { class: "card mix", "aria-labelledby": "mix-title" },
      h("h2", { id: "mix-title" }, text.title),
      h("p", { class: "lead" }, text.intro),
      modes.element,
      this.#about,
      this.#sources,
      ...views.map(({ controls }) => controls),
      this.#settings,
      this.#work.element,
      ...views.map(({ element }) => h("div", { class: "view" }, element)),
      explainMix(),
    );
    this.element.addEventListener("keydown", (event) => {
      // As in a form: Enter in a field does what the button does.
      if (event.key === "Enter" && event.target instanceof HTMLInputElement && event.target.matches("[type=text], [type=number]")) this.#work.go.click();
    });
    store.subscribe((state, before) => this.#show(state.mix.mode !== before.mix.mode ? before.mix.mode : null), signal);
    this.#show(null);
  }

  /** A picture goes to the side it was dropped on or that was last used; else to the first without one. */
  take(file: File): boolean {
    const { aKind, mode } = this.#lab.store.get().mix;
    if (mode === "walk") return false;
    const side = mode === "edit" ? "a" : (this.#touched ?? (aKind === "picture" ? "b" : "a"));
    this.#work.notice.clear();
    this.#cards[side].take(file).catch((thrown: unknown) => this.#work.notice.show(asMaetokError(thrown)));
    return true;
  }

  visible(on: boolean): void {
    if (!on) for (const view of Object.values(this.#views)) view.leave?.();
  }

  get #mode(): Mode {
    const { mode } = this.#lab.store.get().mix;
    // A link may ask for what this model cannot do.
    return canGenerate(this.#lab.model) || mode === "tokens" ? mode : "between";
  }

  /** On a phone the button stands at the foot of the window, and what it made would stay below it. */
  #reveal(): void {
    const { element } = this.#views[this.#mode];
    if (this.#done.has(this.#mode) && window.matchMedia("(max-width: 44rem)").matches) element.scrollIntoView({ block: "nearest" });
  }

  #go(): Promise<void> {
    const mode = this.#mode;
    const view = this.#views[mode];
    return this.#work.run(async (signal, task) => {
      const { badSteps, badGuidance } = words().mix;
      if (!isValid(this.#steps)) throw new PageError("setting", badSteps(this.#steps.value));
      if (!isValid(this.#guidance)) throw new PageError("setting", badGuidance(this.#guidance.value));
      const key = this.#key(mode);
      const sources = view.sides.map((side) => this.#cards[side].source());
      const ends = await this.#ends.get(sources, signal, task);
      view.sides.forEach((side, i) => this.#cards[side].show(ends[i]!));
      const result = await view.run(ends, signal, task);
      this.#done.set(mode, key);
      return result;
    });
  }

  /** All that the result of a mode depends on and that is not followed at once. */
  #key(mode: Mode): string {
    const view = this.#views[mode];
    const sources = view.sides.map((side) => {
      try {
        return this.#cards[side].source().key;
      } catch {
        return "";
      }
    });
    return JSON.stringify([view.key(), ...sources]);
  }

  /** `left`: the mode that is no longer shown. */
  #show(left: Mode | null): void {
    const shown = this.#mode;
    if (left !== null) {
      this.#views[left].leave?.();
      this.#work.stop();
      this.#work.tell("");
    }
    for (const [mode, { controls, element }] of Object.entries(this.#views)) {
      controls.hidden = mode !== shown || !controls.hasChildNodes();
      element.parentElement!.hidden = mode !== shown;
    }
    const { sides, label } = this.#views[shown];
    this.#sources.hidden = sides.length === 0;
    this.#sources.classList.toggle("single", sides.length === 1);
    for (const side of ["a", "b"] as const) this.#cards[side].element.hidden = !(sides as readonly Side[]).includes(side);
    this.#settings.hidden = !canGenerate(this.#lab.model);
    this.#about.textContent = words().mix.about[shown];
    this.#work.go.textContent = label;
    const done = this.#done.get(shown);
    const stale = done !== undefined && done !== this.#key(shown);
    this.element.classList.toggle("outdated", stale);
    if (stale && !this.#work.running) this.#work.tell(words().mix.stale(label));
  }
}
