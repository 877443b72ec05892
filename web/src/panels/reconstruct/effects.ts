/** What each token does: the picture without it against the picture with it, one at a time or all of them in a row. */

import { asMaetokError } from "../../errors.ts";
import type { Latents, Picture } from "../../protocol.ts";
import type { Lab } from "../panel.ts";
import { without } from "./edits.ts";
import { meanDifference } from "./error.ts";
import type { Shot } from "./live.ts";

/** A batch of the sweep is to take about so long, in milliseconds: a stop and a setting that changes come in between. */
const BATCH = 300;
const LARGEST_BATCH = 16;

export interface Effect {
  place: number;
  picture: Picture;
  /** Mean difference of all colour values, of 255. */
  size: number;
}

export class Effects {
  readonly #lab: Lab;
  #shot: Shot | null = null;
  #known = new Map<number, Effect>();
  #wanted: number | null = null;
  #asking = false;

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** Another latent: what was known of the one before counts no longer. */
  set shot(shot: Shot) {
    this.#shot = shot;
    this.#known = new Map();
  }

  /** The effect of one token; null if another was asked for, or the latent changed, before it was computed. */
  async of(place: number): Promise<Effect | null> {
    this.#wanted = place;
    const known = this.#known.get(place);
    if (known || this.#asking || !this.#shot) return known ?? null;
    this.#asking = true;
    try {
      for (;;) {
        const shot: Shot = this.#shot;
        const asked: number = this.#wanted;
        const effect = this.#known.get(asked) ?? (await this.#measure(shot, [asked]))[0]!;
        if (shot === this.#shot) this.#known.set(asked, effect);
        if (asked === this.#wanted && shot === this.#shot) return effect;
      }
    } catch (thrown) {
      // The reconstruction meets the same fault, and tells of it.
      console.warn(asMaetokError(thrown));
      return null;
    } finally {
      this.#asking = false;
    }
  }

  /** All of them, the strongest first. Stops with an error where `signal` says so, and with null where the latent changes. */
  async rank(signal: AbortSignal, onProgress: (done: number, of: number) => void): Promise<Effect[] | null> {
    const shot = this.#shot!;
    const { tokens } = shot.form;
    const effects: Effect[] = [];
    let batch = 1;
    while (effects.length < tokens) {
      const places = Array.from({ length: Math.min(batch, tokens - effects.length) }, (_, i) => effects.length + i);
      const began = performance.now();
      effects.push(...(await this.#measure(shot, places, signal)));
      signal.throwIfAborted();
      if (this.#shot !== shot) return null;
      const each = (performance.now() - began) / places.length;
      batch = Math.min(Math.max(Math.round(BATCH / each), 1), LARGEST_BATCH);
      onProgress(effects.length, tokens);
    }
    for (const effect of effects) this.#known.set(effect.place, effect);
    return effects.sort((a, b) => b.size - a.size || a.place - b.place);
  }

  async #measure(shot: Shot, places: readonly number[], signal?: AbortSignal): Promise<Effect[]> {
    const { latents } = shot.edited;
    const rows: Latents = new Float32Array(latents.length * places.length);
    places.forEach((place, i) => rows.set(without(latents, place, shot.form), i * latents.length));
    const { pictures } = await this.#lab.client.decode(this.#lab.manifest, rows, true, signal);
    return places.map((place, i) => ({ place, picture: pictures[i]!, size: meanDifference(shot.picture, pictures[i]!) }));
  }
}
