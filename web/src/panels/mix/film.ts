/** Pictures between two ends: a slider through them, a film strip, a play button, and what can be saved of them. */

import type { Picture } from "../../protocol.ts";
import { number } from "../../format.ts";
import { bind } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { Frame, paint } from "../../ui/frame.ts";
import { sheet } from "../../ui/sheet.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { type Keep, saveButton } from "./keep.ts";

export interface FilmFrame {
  share: number;
  picture: Picture;
}

export interface FilmOptions {
  /** Begins the ids of its controls. */
  id: string;
  keep: Keep;
  /** What is at one end of the slider, and at the other. */
  ends: () => [string, string];
  /** Sees to what lies exactly at a share that is none of the frames'. Without it, or if it says false, the nearest is shown. */
  exact?: (share: number) => boolean;
}

/** A frame stands so long while the film plays, in milliseconds. */
const TICK = 160;

export class Film {
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #options: FilmOptions;
  readonly #frame = new Frame(words().shell.noPicture);
  readonly #caption = h("p", { class: "caption" });
  readonly #slider: HTMLInputElement;
  readonly #from = h("span", {});
  readonly #to = h("span", {});
  readonly #strip = h("div", { class: "film wide", "aria-hidden": "true" });
  readonly #play = h("button", { type: "button", class: "quiet" }, words().mix.play);
  readonly #pixels = h("input", { type: "checkbox" });
  #frames: FilmFrame[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(lab: Lab, options: FilmOptions) {
    this.#lab = lab;
    this.#options = options;
    const text = words().mix;
    this.#slider = h("input", { type: "range", id: `${options.id}-share`, min: 0, max: 1, step: 0.01 });
    const frames = h("input", { type: "number", id: `${options.id}-frames`, min: 3, max: 17, class: "short" });
    bind(this.#slider, "mix", "share", lab.store, lab.signal);
    bind(frames, "mix", "frames", lab.store, lab.signal);
    this.element = h(
      "div",
      { class: "mix-film", hidden: true },
      h("div", { class: "frame" }, this.#frame.canvas),
      h(
        "div",
        { class: "film-controls" },
        this.#caption,
        h("label", { for: this.#slider.id }, text.share),
        this.#slider,
        h("div", { class: "film-ends", "aria-hidden": "true" }, this.#from, this.#to),
        this.#strip,
        h(
          "div",
          { class: "buttons" },
          this.#play,
          saveButton(lab, options.keep, text.savePicture, () => this.#frame.picture && { picture: this.#frame.picture, name: `share${number(Math.round(this.#share * 100))}` }),
          saveButton(lab, options.keep, text.saveSheet, () => (this.#frames.length > 0 ? { picture: sheet(this.#frames.map(({ picture }) => picture)), name: "film" } : null)),
        ),
        h("div", { class: "buttons" }, h("label", { class: "toggle" }, text.frames, frames), h("label", { class: "toggle" }, this.#pixels, words().shell.pixels)),
      ),
    );
    this.#pixels.addEventListener("change", () => (this.#frame.pixels = this.#pixels.checked));
    this.#play.addEventListener("click", () => (this.#timer === undefined ? this.#start() : this.#pause()));
    this.#slider.addEventListener("input", () => this.#pause());
    lab.store.subscribe((state, before) => {
      if (state.mix.share !== before.mix.share) this.#look();
    }, lab.signal);
    lab.signal.addEventListener("abort", () => clearInterval(this.#timer), { once: true });
  }

  get frames(): readonly FilmFrame[] {
    return this.#frames;
  }

  set(frames: FilmFrame[]): void {
    this.#pause();
    this.#frames = frames;
    this.element.hidden = false;
    [this.#from.textContent, this.#to.textContent] = this.#options.ends();
    this.#strip.classList.toggle("many", frames.length > 9);
    this.#strip.replaceChildren(
      ...frames.map(({ picture, share }) => {
        const canvas = h("canvas", { onclick: () => (this.#pause(), this.#go(share)) });
        paint(canvas, picture);
        return canvas;
      }),
    );
    this.#look();
  }

  /** Shows a picture that was made for `share`, if that is still wanted. */
  present({ share, picture }: FilmFrame): void {
    if (share !== this.#share || this.#timer !== undefined) return;
    const text = words().mix.shareOf(number(100 * (1 - share)), number(100 * share), ...this.#options.ends());
    this.#caption.textContent = text;
    this.#slider.setAttribute("aria-valuetext", text);
    this.#frame.show(picture, text);
  }

  /** Ends playing. */
  pause(): void {
    this.#pause();
  }

  get #share(): number {
    return this.#lab.store.get().mix.share;
  }

  #go(share: number): void {
    this.#lab.store.set({ mix: { share } });
  }

  #nearest(share: number): number {
    let best = 0;
    this.#frames.forEach((frame, i) => {
      if (Math.abs(frame.share - share) < Math.abs(this.#frames[best]!.share - share)) best = i;
    });
    return best;
  }

  #look(): void {
    const at = this.#nearest(this.#share);
    const frame = this.#frames[at];
    if (!frame) return;
    // Shares are stored with three digits.
    if (Math.abs(frame.share - this.#share) > 5e-4 && this.#options.exact?.(this.#share)) return;
    this.#put(at);
  }

  /** Shows a frame of the film. */
  #put(at: number): void {
    const { share, picture } = this.#frames[at]!;
    const text = words().mix.shareOf(number(100 * (1 - share)), number(100 * share), ...this.#options.ends());
    this.#caption.textContent = text;
    this.#slider.setAttribute("aria-valuetext", text);
    this.#frame.show(picture, text);
    [...this.#strip.children].forEach((canvas, i) => canvas.classList.toggle("shown", i === at));
  }

  /** There and back again, until somebody stops it. The setting follows at the end only: undo need not know every frame. */
  #start(): void {
    let at = this.#nearest(this.#share);
    let by = at === this.#frames.length - 1 ? -1 : 1;
    this.#play.textContent = words().mix.pause;
    this.#timer = setInterval(() => {
      if (at + by < 0 || at + by >= this.#frames.length) by = -by;
      at += by;
      this.#put(at);
      this.#slider.value = String(this.#frames[at]!.share);
    }, TICK);
  }

  #pause(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#play.textContent = words().mix.play;
    this.#go(this.#slider.valueAsNumber);
  }
}
