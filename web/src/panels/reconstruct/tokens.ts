/** The latent: its table of colours, what can be done to its tokens, and what each of them does to the picture. */

import { asMaetokError, type MaetokError } from "../../errors.ts";
import { number } from "../../format.ts";
import type { Picture } from "../../protocol.ts";
import { bind } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { parseBits, printBits } from "./bits.ts";
import { type Effect, Effects } from "./effects.ts";
import { ALL } from "./fields.ts";
import { HeatMap } from "./heat.ts";
import type { Shot } from "./live.ts";
import { SignedMap } from "./signed_map.ts";

/** What a token changes is shown this long after the last change of the latent, in milliseconds. */
const QUIET = 120;

export interface Wishes {
  save: (picture: Picture, suffix: string) => void;
  fail: (error: MaetokError) => void;
}

export class Tokens {
  readonly #lab: Lab;
  readonly #wishes: Wishes;
  readonly #effects: Effects;
  readonly #heat: HeatMap;
  readonly #keep = h("input", { id: "keep", type: "range", min: 0, step: 1 });
  readonly #keepValue = h("output", { for: "keep" });
  readonly #noise = h("input", { id: "latent-noise", type: "range", min: 0, max: 3, step: 0.05 });
  readonly #noiseValue = h("output", { for: "latent-noise" });
  readonly #restore: HTMLButtonElement;
  readonly #toggle = h("button", { type: "button", class: "quiet", "aria-pressed": "false" });
  readonly #map: SignedMap;
  readonly #caption = h("figcaption", {}, words().reconstruct.effect.point);
  readonly #saveMap: HTMLButtonElement;
  readonly #rank: HTMLButtonElement;
  readonly #task: Task;
  readonly #list = h("ol", { class: "ranking" });
  readonly #stale = h("p", { class: "hint", hidden: true }, words().reconstruct.effect.stale);
  readonly #effect: HTMLElement;
  readonly element: HTMLElement;
  #shot: Shot | null = null;
  /** The place whose token is looked at. */
  #place = 0;
  #ranking = false;
  #soon: ReturnType<typeof setTimeout> | undefined;

  constructor(lab: Lab, wishes: Wishes) {
    this.#lab = lab;
    this.#wishes = wishes;
    const { store, signal } = lab;
    this.#effects = new Effects(lab);
    this.#heat = new HeatMap({ look: (place) => this.#look(place), toggle: (place) => this.#drop(place) }, signal);
    this.#map = new SignedMap(signal);
    const { latent: text, effect } = words().reconstruct;
    const button = (label: string, press: () => void) => h("button", { type: "button", class: "quiet", onclick: press }, label);
    const dice = h("button", { type: "button", class: "dice", title: text.noiseDice, "aria-label": text.noiseDice, onclick: () => store.set({ reconstruct: { noiseSeed: anySeed() } }) }, "⚄");
    this.#restore = button(text.restore, () => store.set({ reconstruct: { order: "0" } }));
    this.#toggle.addEventListener("click", () => this.#drop(this.#place));
    this.#saveMap = button(effect.save, () => {
      const picture = this.#map.picture();
      if (picture) this.#wishes.save(picture, `token-${this.#token(this.#place)}`);
    });
    this.#rank = button(effect.rank, () => void this.#sweep());
    this.#task = new Task(lab.say, this.#rank);
    const setting = (id: string, label: string, term: string, control: HTMLElement, hint: string) => h("div", { class: "setting" }, h("label", { for: id }, label, " ", h("span", { class: "term" }, term)), control, h("p", { class: "hint" }, hint));
    this.#effect = h(
      "div",
      { class: "effect none" },
      h("figure", {}, h("div", { class: "frame" }, this.#map.frame.canvas), this.#caption, this.#map.legend.element, this.#saveMap),
      h("div", { class: "sweep" }, this.#rank, this.#task.element, this.#list, this.#stale),
    );
    this.element = h(
      "section",
      { class: "tool latent", "aria-labelledby": "latent-title" },
      h("h3", { id: "latent-title" }, text.title),
      h("p", { class: "hint", id: "heat-help" }, text.intro),
      this.#heat.element,
      h("div", { class: "buttons" }, this.#toggle),
      h("h4", {}, effect.title),
      h("p", { class: "hint" }, effect.intro),
      this.#effect,
      h("h4", {}, text.change),
      h("div", { class: "buttons" }, button(text.shuffle, () => store.set({ reconstruct: { order: anySeed() } })), this.#restore),
      setting("keep", text.keep, text.keepTerm, h("div", { class: "joined" }, this.#keep, this.#keepValue), text.keepHint),
      setting("latent-noise", text.noise, text.noiseTerm, h("div", { class: "joined" }, this.#noise, this.#noiseValue, dice), text.noiseHint),
    );
    bind(this.#noise, "reconstruct", "noise", store, signal);
    this.#keep.addEventListener("input", () => {
      // All of them is all of any model's.
      const keep = this.#keep.valueAsNumber;
      store.set({ reconstruct: { keep: keep === Number(this.#keep.max) ? ALL : keep } });
    });
    store.subscribe(() => this.#turn(), signal);
    this.#turn();
  }

  show(shot: Shot): void {
    this.#shot = shot;
    this.#effects.shot = shot;
    this.#keep.max = String(shot.form.tokens);
    this.#place = Math.min(this.#place, shot.form.tokens - 1);
    this.#heat.show(shot.edited, shot.form);
    this.#heat.choose(this.#place);
    this.#stale.classList.remove("fresh");
    this.#list.classList.add("stale");
    this.#turn();
    // While a slider is drawn the picture comes first.
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => void this.#showEffect(), QUIET);
  }

  heatmap(): HTMLCanvasElement {
    return this.#heat.canvas;
  }

  /** The controls as the settings are. */
  #turn(): void {
    const { keep, noise, order } = this.#lab.store.get().reconstruct;
    const text = words().reconstruct.latent;
    const tokens = this.#shot?.form.tokens ?? 0;
    this.#keep.value = String(Math.min(keep, tokens));
    this.#keepValue.textContent = text.kept(number(Math.min(keep, tokens)), number(tokens));
    this.#noiseValue.textContent = `${number(noise, 2)} σ`;
    this.#restore.setAttribute("aria-disabled", String(order === "0"));
    if (!this.#shot) return;
    const dropped = parseBits(this.#lab.store.get().reconstruct.drop, tokens)[this.#place] === 1;
    this.#toggle.setAttribute("aria-pressed", String(dropped));
    this.#toggle.textContent = (dropped ? text.putBack : text.leaveOut)(this.#token(this.#place));
  }

  /** The number of the token at a place, for people. */
  #token(place: number): string {
    return number((this.#shot?.edited.order[place] ?? place) + 1);
  }

  #look(place: number): void {
    this.#place = place;
    this.#heat.choose(place);
    this.#turn();
    void this.#showEffect();
  }

  #drop(place: number): void {
    const tokens = this.#shot?.form.tokens;
    if (tokens === undefined) return;
    const { store } = this.#lab;
    const drop = parseBits(store.get().reconstruct.drop, tokens);
    drop[place] = 1 - drop[place]!;
    store.set({ reconstruct: { drop: printBits(drop) } });
  }

  async #showEffect(): Promise<void> {
    const effect = await this.#effects.of(this.#place);
    if (!effect || !this.#shot || effect.place !== this.#place) return;
    const text = words().reconstruct.effect;
    const token = this.#token(this.#place);
    this.#map.show(this.#shot.picture, effect.picture, text.map(token));
    this.#effect.classList.remove("none");
    this.#caption.textContent = this.#shot.edited.dropped[this.#place] ? text.none(token) : text.caption(token, number(effect.size, 1));
  }

  async #sweep(): Promise<void> {
    if (this.#ranking || !this.#shot) return;
    this.#ranking = true;
    const text = words().reconstruct.effect;
    const signal = this.#task.begin(text.ranking);
    this.#rank.hidden = true;
    this.#task.focus();
    try {
      const effects = await this.#effects.rank(signal, (done, of) => this.#task.part(text.ranked(number(done), number(of)), done, of));
      if (effects) this.#fill(effects);
      this.#lab.say(effects ? text.said(this.#token(effects[0]!.place)) : text.changed);
    } catch (thrown) {
      const error = asMaetokError(thrown);
      if (error.code === "cancelled" || signal.aborted) this.#lab.say(words().shell.stopped);
      else this.#wishes.fail(error);
    }
    this.#rank.hidden = false;
    this.#task.end();
    this.#ranking = false;
  }

  #fill(effects: readonly Effect[]): void {
    const text = words().reconstruct.effect;
    const most = Math.max(...effects.map(({ size }) => size), 1e-6);
    this.#list.classList.remove("stale");
    this.#stale.hidden = false;
    this.#stale.classList.add("fresh");
    this.#list.replaceChildren(
      ...effects.map(({ place, size }) => {
        const value = number(size, 1);
        const token = this.#token(place);
        const look = () => this.#look(place);
        const bar = h("meter", { min: 0, max: most, value: size, "aria-hidden": "true" });
        const button = h("button", { type: "button", class: "rank", onclick: look, onfocus: look, onpointerenter: look }, h("span", { class: "name" }, text.token(token)), bar, h("span", { class: "size" }, value), h("span", { class: "visually-hidden" }, ` ${text.average}`));
        button.dataset.place = String(place);
        return h("li", {}, button);
      }),
    );
  }
}

/** A seed that is short enough to be read, and never the 0 that stands for none. */
function anySeed(): string {
  return String(1 + (crypto.getRandomValues(new Uint32Array(1))[0]! % 999_999));
}
