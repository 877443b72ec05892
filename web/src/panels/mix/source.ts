/** One of the two sides: a class and a seed, a picture out of the gallery or a file; and what it looks like. */

import type { Picture } from "../../protocol.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { ClassSelect } from "../../ui/classes.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { boundSegments } from "../../ui/segments.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import type { End, Source } from "./ends.ts";
import { canGenerate, classesOf } from "./model.ts";

export type Side = "a" | "b";

/** Larger files are refused before they are read into memory. */
const LARGEST = 64 * 2 ** 20;

/** A file that was given, as the model sees it. */
interface Given {
  name: string;
  number: number;
  square: Picture;
}

let given = 0;

export class SourceCard {
  readonly side: Side;
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #frame = new Frame(words().shell.noPicture);
  readonly #seed: HTMLInputElement;
  readonly #class: ClassSelect;
  readonly #sample: ClassSelect;
  readonly #file: HTMLInputElement;
  readonly #name = h("p", { class: "hint file" });
  readonly #ofSeed: HTMLElement;
  readonly #ofPicture: HTMLElement;
  #given: Given | null = null;
  /** What the frame shows, by its key. */
  #shown: string | null = null;

  /** `refuse` hears of what cannot be; `touched`, that somebody is busy with this side. */
  constructor(lab: Lab, side: Side, refuse: (error: PageError) => void, touched: () => void) {
    this.#lab = lab;
    this.side = side;
    const { store, signal, model } = lab;
    const text = words().mix;
    const name = (field: "Kind" | "Class" | "Seed" | "Sample") => `${side}${field}` as const;
    const select = (field: "Class" | "Sample", usual: ConstructorParameters<typeof ClassSelect>[0]["usual"]) =>
      new ClassSelect({ part: "mix", name: name(field), id: `mix-${side}-${field.toLowerCase()}`, classes: field === "Class" ? model.classes : samples, usual, store, signal, refuse });
    const samples = model.classes.filter(({ thumbnail }) => thumbnail);
    this.#class = select("Class", classesOf(model, side) ?? "");
    this.#sample = select("Sample", text.ownFile);
    const kinds = boundSegments("mix", name("Kind"), text.kind(side), text.kinds, store, signal, false);
    kinds.element.hidden = !canGenerate(model);

    this.#seed = h("input", { id: `mix-${side}-seed`, type: "text", inputmode: "numeric", autocomplete: "off" });
    bind(this.#seed, "mix", name("Seed"), store, signal);
    const dice = h("button", { type: "button", class: "dice", title: words().generate.dice, "aria-label": text.diceOf(side) }, "⚄");
    dice.addEventListener("click", () => store.set({ mix: { [name("Seed")]: String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000) } }));
    this.#ofSeed = h(
      "div",
      { class: "of" },
      h("div", { class: "setting" }, h("label", { for: `mix-${side}-class` }, text.class), this.#class.element),
      h("div", { class: "setting" }, h("label", { for: `mix-${side}-seed` }, text.seed), h("div", { class: "joined" }, this.#seed, dice)),
    );

    this.#file = h("input", { type: "file", id: `mix-${side}-file`, accept: "image/png,image/jpeg,image/webp,image/gif", class: "visually-hidden" });
    this.#file.addEventListener("change", () => {
      const file = this.#file.files?.[0];
      if (file) void this.take(file).catch(refuse);
      this.#file.value = "";
    });
    this.#ofPicture = h(
      "div",
      { class: "of" },
      h("div", { class: "setting" }, h("label", { for: `mix-${side}-sample` }, text.sample), this.#sample.element),
      h("div", { class: "choose" }, this.#file, h("label", { for: `mix-${side}-file`, class: "button" }, text.choose(side)), this.#name),
    );
    this.element = h(
      "section",
      { class: "source", "aria-label": text.side(side) },
      h("div", { class: "frame" }, this.#frame.canvas, h("span", { class: "side", "aria-hidden": "true" }, side.toUpperCase())),
      kinds.element,
      this.#ofSeed,
      this.#ofPicture,
    );
    this.element.addEventListener("focusin", touched);
    this.element.addEventListener("pointerdown", touched);
    // The page takes the file; which side it fell on is known here alone.
    this.element.addEventListener("drop", touched, { capture: true });
    this.#frame.showNoise(model.imageSize);
    store.subscribe(() => this.#show(), signal);
    this.#show();
  }

  /** Takes a picture file. */
  async take(file: File): Promise<void> {
    const text = words().reconstruct;
    const { client, model, signal, store } = this.#lab;
    if (file.size > LARGEST) throw new PageError("picture", text.tooLarge(String(Math.ceil(file.size / 2 ** 20)), String(LARGEST / 2 ** 20)), text.tooLargeAdvice);
    const bytes = await file.arrayBuffer().catch(() => {
      throw new PageError("picture", text.unreadable(file.name), text.unreadableAdvice);
    });
    const { square } = await client.open(bytes, model.imageSize, null, signal);
    this.#given = { name: file.name, number: ++given, square };
    store.set({ mix: { [`${this.side}Kind`]: "picture", [`${this.side}Sample`]: "" } });
    this.#show();
    this.#frame.show(square, words().mix.pictureNamed(file.name));
    this.#shown = this.source().key;
    this.#show();
    this.#lab.say(words().mix.taken(this.side, file.name));
  }

  /** What is set. Throws a `PageError` about what cannot be. */
  source(): Source {
    const text = words().mix;
    const { steps, guidance } = this.#lab.store.get().mix;
    if (!this.#pictured) {
      const chosen = this.#class.chosen;
      if (!chosen) throw new PageError("setting", words().generate.noClass, words().generate.noClassAdvice);
      if (!isValid(this.#seed)) throw new PageError("setting", words().generate.badSeed(this.#seed.value.trim().slice(0, 30)));
      const seed = this.#seedStored;
      return { key: `run ${steps} ${guidance} ${seed} ${chosen.name}`, name: `${chosen.name}-${seed}`, run: { class: chosen.name, seed, steps, guidance, sampler: "euler" } };
    }
    const sample = this.#sample.chosen;
    if (sample) return { key: `sample ${sample.name}`, name: sample.name, square: (signal) => this.#open(sample.thumbnail!, signal) };
    const file = this.#given;
    if (!file) throw new PageError("picture", text.noPicture(this.side), text.noPictureAdvice);
    return { key: `file ${file.number}`, name: file.name.replace(/\.[^.]*$/, "") || words().reconstruct.fileName, square: () => Promise.resolve(file.square) };
  }

  show(end: End): void {
    this.#shown = end.key;
    this.#frame.show(end.picture, words().mix.side(this.side));
    this.#show();
  }

  get #pictured(): boolean {
    const { model, store } = this.#lab;
    return !canGenerate(model) || store.get().mix[`${this.side}Kind`] === "picture";
  }

  get #seedStored(): string {
    return this.#lab.store.get().mix[`${this.side}Seed`];
  }

  #show(): void {
    const pictured = this.#pictured;
    this.#ofSeed.hidden = pictured;
    this.#ofPicture.hidden = !pictured;
    const sample = this.#lab.store.get().mix[`${this.side}Sample`];
    this.#name.textContent = sample === "" ? (this.#given?.name ?? words().mix.orDrop) : "";
    // What is shown is of other settings than these.
    let key: string | null = null;
    try {
      key = this.source().key;
    } catch {
      // Said when it is wanted.
    }
    this.element.classList.toggle("stale", this.#shown !== null && this.#shown !== key);
  }

  async #open(address: string, signal: AbortSignal): Promise<Picture> {
    const { client, model } = this.#lab;
    const response = await fetch(address, { signal });
    if (!response.ok) throw new PageError("download", words().errors.download.message, words().errors.download.advice);
    return (await client.open(await response.arrayBuffer(), model.imageSize, null, signal)).square;
  }
}
