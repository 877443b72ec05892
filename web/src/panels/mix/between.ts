/** From one picture to another: through the latents they end in, or through the noise they begin with. */

import { asMaetokError, cancelled } from "../../errors.ts";
import { duration, number } from "../../format.ts";
import { distance, joined, shares, standard, unstandard } from "../../latents.ts";
import type { Latents, Way } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { Latest } from "../../ui/latest.ts";
import { boundSegments, type Segments } from "../../ui/segments.ts";
import type { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { type End, finished } from "./ends.ts";
import { Film } from "./film.ts";
import type { Keep } from "./keep.ts";
import { canGenerate } from "./model.ts";
import type { View } from "./view.ts";

export class Between implements View {
  readonly sides = ["a", "b"] as const;
  readonly label = words().mix.go;
  readonly controls: HTMLElement;
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #film: Film;
  readonly #target: Segments<"latents" | "noise">;
  readonly #why = h("p", { class: "hint" });
  readonly #numbers = h("p", { class: "hint" });
  readonly #exact: Latest<number>;
  readonly #redo: Latest<null>;
  readonly #keep: Keep;
  /** Whose latents the film is of; null where it is one of noise, or none. */
  #ends: readonly [End, End] | null = null;
  #name = "";

  constructor(lab: Lab, keep: Omit<Keep, "name">) {
    this.#lab = lab;
    const { store, signal } = lab;
    const text = words().mix;
    this.#keep = { ...keep, name: () => this.#name };
    this.#film = new Film(lab, { id: "between", keep: this.#keep, ends: () => ["A", "B"], exact: (share) => this.#between(share) });
    this.#target = boundSegments("mix", "target", text.target, text.targets, store, signal);
    this.#target.element.hidden = !canGenerate(lab.model);
    const way = boundSegments("mix", "way", text.way, text.ways, store, signal);
    this.controls = h("div", { class: "view-controls" }, this.#target.element, way.element, this.#why);
    this.element = h("div", {}, this.#film.element, this.#numbers);
    this.#exact = new Latest((share) => this.#decodeAt(share));
    this.#redo = new Latest(() => this.#remake());
    store.subscribe((state, before) => {
      this.#show();
      // Latents are there: another way between them, or more of it, is a matter of decoding.
      if (this.#ends && (state.mix.way !== before.mix.way || state.mix.frames !== before.mix.frames)) void this.#redo.ask(null);
    }, signal);
    this.#show();
  }

  key(): string {
    const { target, way, frames } = this.#lab.store.get().mix;
    return target === "latents" ? target : `${target} ${way} ${frames}`;
  }

  async run(ends: readonly End[], signal: AbortSignal, task: Task): Promise<string> {
    const [a, b] = ends as readonly [End, End];
    const began = performance.now();
    if (this.#lab.store.get().mix.target === "noise") {
      await this.#throughNoise(a, b, signal, task);
      this.#ends = null;
      this.#numbers.textContent = "";
    } else {
      this.#ends = [a, b];
      await this.#throughLatents(this.#ends, signal);
    }
    this.#name = `${a.name}-to-${b.name}`;
    const apart = distance(a.latents, b.latents, this.#lab.model.latentStd);
    return words().mix.mixed(number(this.#film.frames.length), duration(performance.now() - began), number(apart, 2));
  }

  leave(): void {
    this.#film.pause();
  }

  #show(): void {
    const { target, aKind, bKind } = this.#lab.store.get().mix;
    const text = words().mix;
    this.#why.textContent = target === "latents" ? text.latentsHint : aKind === "picture" || bKind === "picture" ? text.noiseNeedsSeeds : text.noiseHint;
  }

  /** Along the way in the generator's units, whose origin is the latents' mean; its ends are the latents themselves. */
  async #mixed([a, b]: readonly [End, End], share: number, way: Way): Promise<Latents> {
    if (share === 0) return a.latents;
    if (share === 1) return b.latents;
    const { client, model } = this.#lab;
    return unstandard(await client.mix(standard(a.latents, model), standard(b.latents, model), share, way), model);
  }

  async #throughLatents(ends: readonly [End, End], signal: AbortSignal): Promise<void> {
    const { client, manifest, store } = this.#lab;
    const { frames, way } = store.get().mix;
    const all = shares(frames);
    const mixed = await Promise.all(all.map((share) => this.#mixed(ends, share, way)));
    const { pictures } = await client.decode(manifest, joined(mixed), false, signal);
    if (this.#ends !== ends) throw cancelled();
    this.#film.set(all.map((share, i) => ({ share, picture: pictures[i]! })));
    const { model } = this.#lab;
    const size = (latents: Latents) => number(distance(standard(latents, model), new Float32Array(latents.length)), 2);
    this.#numbers.textContent = words().mix.sizes(size(mixed[0]!), size(mixed[(frames - 1) >> 1]!), size(mixed.at(-1)!));
  }

  /** Runs with noise that lies between that of two seeds; where the classes differ, they go over into each other, too. */
  async #throughNoise(a: End, b: End, signal: AbortSignal, task: Task): Promise<void> {
    const { frames, way } = this.#lab.store.get().mix;
    const from = a.run;
    const to = b.run;
    if (!from || !to) throw new PageError("setting", words().mix.noiseNeedsSeeds, words().mix.noiseNeedsSeedsAdvice);
    const all = shares(frames);
    const requests = all.map((share) => ({ ...from, toward: { class: to.class, share }, blend: { seed: to.seed, share, way } }));
    const made = await finished(this.#lab, requests, signal, task);
    this.#film.set(all.map((share, i) => ({ share, picture: made[i]!.picture })));
  }

  /** Whether what lies at a share between the film's frames can be shown, which is then on its way. */
  #between(share: number): boolean {
    if (!this.#ends) return false;
    void this.#exact.ask(share);
    return true;
  }

  async #decodeAt(share: number): Promise<void> {
    const ends = this.#ends;
    if (!ends) return;
    const { client, manifest, store, signal } = this.#lab;
    try {
      const { pictures } = await client.decode(manifest, await this.#mixed(ends, share, store.get().mix.way), false, signal);
      this.#film.present({ share, picture: pictures[0]! });
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  async #remake(): Promise<void> {
    if (!this.#ends) return;
    try {
      await this.#throughLatents(this.#ends, this.#lab.signal);
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    const error = asMaetokError(thrown);
    if (error.code !== "cancelled") this.#keep.notice.show(error);
  }
}
