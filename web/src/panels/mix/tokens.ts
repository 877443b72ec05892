/** Chosen tokens of two pictures change sides: what each of them holds. */

import { asMaetokError } from "../../errors.ts";
import { duration, number } from "../../format.ts";
import { exchange, joined, tokenDistances } from "../../latents.ts";
import type { Picture } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { Latest } from "../../ui/latest.ts";
import { Toggles } from "../../ui/toggles.ts";
import type { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import type { End } from "./ends.ts";
import { type Keep, saveButton } from "./keep.ts";
import type { View } from "./view.ts";

export class Tokens implements View {
  readonly sides = ["a", "b"] as const;
  readonly label = words().mix.goTokens;
  readonly controls = h("div", { class: "view-controls" });
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #keep: Keep;
  readonly #toggles: Toggles;
  readonly #count = h("p", { class: "caption", "aria-live": "polite" });
  readonly #frames = [new Frame(words().shell.noPicture), new Frame(words().shell.noPicture)] as const;
  readonly #decode: Latest<readonly number[]>;
  #ends: readonly [End, End] | null = null;
  #channels = 1;

  constructor(lab: Lab, keep: Omit<Keep, "name">) {
    this.#lab = lab;
    this.#keep = { ...keep, name: () => this.#ends?.map(({ name }) => name).join("-and-") ?? "" };
    const text = words().mix;
    this.#toggles = new Toggles(text.tokens, text.token, (chosen) => lab.store.set({ mix: { tokens: chosen } }));
    this.#decode = new Latest((chosen) => this.#make(chosen));
    const all = (label: string, choose: (index: number, chosen: boolean) => boolean) =>
      h("button", { type: "button", class: "quiet", onclick: () => this.#toggles.change(choose) }, label);
    const figure = (i: 0 | 1) =>
      h(
        "figure",
        {},
        h("div", { class: "frame" }, this.#frames[i].canvas),
        h("figcaption", {}, text.exchanged[i === 0 ? "a" : "b"]),
        saveButton(lab, this.#keep, text.savePicture, () => this.#frames[i].picture && { picture: this.#frames[i].picture, name: i === 0 ? "a-with-tokens-of-b" : "b-with-tokens-of-a" }),
      );
    this.element = h(
      "div",
      { class: "mix-tokens", hidden: true },
      this.#toggles.element,
      h(
        "div",
        { class: "buttons" },
        all(text.none, () => false),
        all(text.all, () => true),
        all(text.firstHalf, (index) => index < this.#tokens / 2),
        all(text.everySecond, (index) => index % 2 === 1),
        all(text.invert, (_, chosen) => !chosen),
      ),
      this.#count,
      h("div", { class: "pair" }, figure(0), figure(1)),
    );
    lab.store.subscribe((state, before) => {
      if (state.mix.tokens !== before.mix.tokens && this.#ends) this.#show();
    }, lab.signal);
  }

  key(): string {
    return "";
  }

  async run(ends: readonly End[], signal: AbortSignal, task: Task): Promise<string> {
    const [a, b] = ends as readonly [End, End];
    const { client, manifest, model } = this.#lab;
    const began = performance.now();
    const facts = await client.prepare(manifest, signal, { onProgress: (progress) => task.progress(progress) });
    this.#ends = [a, b];
    this.#channels = facts.latentChannels;
    this.#toggles.set(facts.latentTokens, tokenDistances(a.latents, b.latents, this.#channels, model.latentStd), (distance) => words().mix.apart(number(distance, 2)));
    this.element.hidden = false;
    await this.#show();
    return words().mix.ready(duration(performance.now() - began));
  }

  get #tokens(): number {
    return (this.#ends?.[0].latents.length ?? 0) / this.#channels;
  }

  #show(): Promise<void> {
    // A link may name tokens of a model that has more.
    const chosen = this.#lab.store.get().mix.tokens.filter((token) => token < this.#tokens);
    this.#toggles.select(chosen);
    this.#count.textContent = words().mix.count(number(chosen.length), number(this.#tokens));
    return this.#decode.ask(chosen);
  }

  async #make(chosen: readonly number[]): Promise<void> {
    if (!this.#ends) return;
    const [a, b] = this.#ends;
    const { client, manifest, signal } = this.#lab;
    const both = joined([exchange(a.latents, b.latents, chosen, this.#channels), exchange(b.latents, a.latents, chosen, this.#channels)]);
    try {
      const { pictures } = await client.decode(manifest, both, false, signal);
      this.#frames.forEach((frame, i) => frame.show(pictures[i] as Picture, words().mix.exchanged[i === 0 ? "a" : "b"]));
    } catch (thrown) {
      const error = asMaetokError(thrown);
      if (error.code !== "cancelled") this.#keep.notice.show(error);
    }
  }
}
