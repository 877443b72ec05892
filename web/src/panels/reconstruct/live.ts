/**
 * From the file to the reconstruction, as often as a setting changes. One pass is under way at a time; what changes
 * meanwhile is done in the next, with the newest settings and without those in between. Only what a change concerns is
 * computed again: the square, the latent, the picture.
 */

import { asMaetokError, type MaetokError } from "../../errors.ts";
import type { Crop, Latents, ModelFacts, Opened, Picture, Progress } from "../../protocol.ts";
import type { Lab } from "../panel.ts";
import type { Bits } from "./bits.ts";
import { type Edited, edit, type Form } from "./edits.ts";
import { hiddenPatches } from "./mask.ts";

/** A picture file as somebody gave it. */
export interface Given {
  name: string;
  bytes: ArrayBuffer;
}

/** Everything there is of a picture under certain settings. */
export interface Shot {
  given: Given;
  facts: ModelFacts;
  form: Form;
  opened: Opened;
  /** The setting the square was cut by. */
  cut: string;
  hidden: Bits;
  /** As the encoder gave it. */
  latents: Latents;
  edited: Edited;
  picture: Picture;
  psnr: number;
  ssim: number;
  /** How long the encoder and the decoder took, in milliseconds. */
  encoding: number;
  decoding: number;
}

export interface Audience {
  /** A new one; `before` is the one that was shown. */
  shown: (shot: Shot, before: Shot | null) => void;
  failed: (error: MaetokError) => void;
  /** A pass begins; returns how to stop it, and is told of its end. */
  began: () => AbortSignal;
  ended: () => void;
}

export class Live {
  readonly #lab: Lab;
  readonly #audience: Audience;
  #shot: Shot | null = null;
  #busy = false;
  #stale = false;

  constructor(lab: Lab, audience: Audience) {
    this.#lab = lab;
    this.#audience = audience;
  }

  get shot(): Shot | null {
    return this.#shot;
  }

  /** Begins with another file. Until it is reconstructed the one before stays; so it does if this one cannot be read. */
  async begin(given: Given, crop: readonly number[], signal: AbortSignal, onProgress: (progress: Progress) => void): Promise<void> {
    const { client, manifest, model } = this.#lab;
    // A file that is no picture is refused as soon as the code is here, without the weights.
    const group = new AbortController();
    const both = AbortSignal.any([signal, group.signal]);
    const preparing = client.prepare(manifest, both, { onProgress });
    preparing.catch(() => {});
    let opened: Opened;
    try {
      opened = await client.open(given.bytes.slice(0), model.imageSize, asSquare(crop), both);
    } catch (error) {
      group.abort();
      throw error;
    }
    const facts = await preparing;
    const form = { tokens: facts.latentTokens, channels: facts.latentChannels, mean: model.latentMean, std: model.latentStd };
    onProgress({ phase: "compute" });
    this.#become(await this.#pass({ given, facts, form, opened, cut: crop.join() }, null, signal));
  }

  /** A setting has changed. */
  refresh(): void {
    this.#stale = true;
    if (!this.#busy && this.#shot) void this.#catchUp();
  }

  async #catchUp(): Promise<void> {
    this.#busy = true;
    while (this.#stale && !this.#lab.signal.aborted) {
      this.#stale = false;
      const before = this.#shot!;
      const signal = this.#audience.began();
      try {
        const shot = await this.#pass(await this.#square(before, signal), before, signal);
        // Another file may have come in the meantime.
        if (this.#shot === before && shot !== before) this.#become(shot);
        else if (this.#shot !== before) this.#stale = true;
      } catch (thrown) {
        this.#audience.failed(asMaetokError(thrown));
      }
      this.#audience.ended();
    }
    this.#busy = false;
  }

  async #square(before: Shot, signal: AbortSignal): Promise<Pick<Shot, "given" | "facts" | "form" | "opened" | "cut">> {
    const { crop } = this.#lab.store.get().reconstruct;
    const cut = crop.join();
    if (cut === before.cut) return before;
    return { ...before, cut, opened: await this.#lab.client.open(before.given.bytes.slice(0), this.#lab.model.imageSize, asSquare(crop), signal) };
  }

  /** Computes what differs from the shot before; `before` itself if nothing does. */
  async #pass(square: Pick<Shot, "given" | "facts" | "form" | "opened" | "cut">, before: Shot | null, signal: AbortSignal): Promise<Shot> {
    const { client, manifest, store } = this.#lab;
    const { opened, facts, form, given, cut } = square;
    const settings = store.get().reconstruct;
    const hidden = facts.canHide ? hiddenPatches(settings, facts.patches) : new Uint8Array(facts.patches);
    const sameSquare = before?.opened === opened;
    let { latents, encoding } = before ?? { latents: new Float32Array(), encoding: 0 };
    if (!sameSquare || !same(hidden, before.hidden)) {
      // With nothing hidden it is the plain reconstruction, to the last bit.
      const encoded = await client.encode(manifest, opened.square, hidden.includes(1) ? hidden : null, signal);
      latents = encoded.latents;
      encoding = encoded.ms;
    }
    const edited = edit(latents, form, settings);
    if (sameSquare && same(edited.latents, before.edited.latents) && same(hidden, before.hidden) && same(edited.order, before.edited.order) && same(edited.dropped, before.edited.dropped)) return before;
    const decoded = await client.decode(manifest, edited.latents, true, signal);
    const picture = decoded.pictures[0]!;
    const { psnr, ssim } = await client.score(opened.square, picture);
    return { given, facts, form, opened, cut, hidden, latents, edited, picture, psnr, ssim, encoding, decoding: decoded.ms };
  }

  #become(shot: Shot): void {
    const before = this.#shot;
    this.#shot = shot;
    this.#audience.shown(shot, before);
  }
}

/** For the engine; it moves a square into the picture by itself. */
function asSquare([x, y, side]: readonly number[]): Crop | null {
  return x === undefined || y === undefined || side === undefined ? null : { x, y, side };
}

function same(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
