/**
 * Makes pictures of the latents that a run left behind: the pictures on the way are few, since they cost time, and all the
 * others are made afterwards. What was made is kept until it takes too much room; then what was looked at longest ago goes,
 * and can be made again.
 */

import type { Client } from "../../client.ts";
import { asMaetokError } from "../../errors.ts";
import type { Picture } from "../../protocol.ts";
import type { Film, Kind } from "./film.ts";

/** Bytes of pictures that are kept. */
const ROOM = 192 * 2 ** 20;

/** Pictures decoded in one go: a run that is begun meanwhile waits for no more than these. */
const AT_ONCE = 8;

export class Darkroom {
  readonly #client: Client;
  readonly #manifest: string;
  readonly #developed: (film: Film, kind: Kind, at: number) => void;
  /** In the order of use. */
  readonly #kept = new Map<string, Picture[]>();
  #bytes = 0;
  #abort: AbortController | null = null;
  /** What somebody waits for. */
  #wanted: number | null = null;

  /** `developed` hears of pictures that were not there before. */
  constructor(client: Client, manifest: string, developed: (film: Film, kind: Kind, at: number) => void) {
    this.#client = client;
    this.#manifest = manifest;
    this.#developed = developed;
  }

  /** Pictures of a batch after step `at`, counted from 0; null if they are not made yet. */
  get(film: Film, kind: Kind, at: number): Picture[] | null {
    if (at === film.moments.length) return film.finals;
    const key = name(film, kind, at);
    const pictures = this.#kept.get(key);
    if (!pictures) return null;
    this.#kept.delete(key);
    this.#kept.set(key, pictures);
    return pictures;
  }

  put(film: Film, kind: Kind, at: number, pictures: Picture[]): void {
    const key = name(film, kind, at);
    if (this.#kept.has(key)) return;
    this.#kept.set(key, pictures);
    this.#bytes += size(pictures);
    for (const [oldest, old] of this.#kept) {
      if (this.#bytes <= ROOM || oldest === key) break;
      this.#kept.delete(oldest);
      this.#bytes -= size(old);
    }
  }

  /**
   * Makes what is missing of a film, first a few pictures from all over it, as long as there is room, and those that
   * somebody asks for with `want` before the others. Ends what it was doing before. Never rejects; true if all is there.
   */
  async develop(film: Film, kinds: readonly Kind[], room = ROOM): Promise<boolean> {
    this.stop();
    const abort = (this.#abort = new AbortController());
    const { signal } = abort;
    try {
      let all = true;
      for (const kind of kinds) all = (await this.#developKind(film, kind, room / kinds.length, signal)) && all;
      return all;
    } catch (thrown) {
      // A run that begins ends this; what is missing is made when somebody looks at it.
      if (asMaetokError(thrown).code !== "cancelled") console.warn(thrown);
      return false;
    } finally {
      if (this.#abort === abort) this.#abort = null;
    }
  }

  async #developKind(film: Film, kind: Kind, room: number, signal: AbortSignal): Promise<boolean> {
    const missing = spread(film.moments.length).filter((at) => !this.#kept.has(name(film, kind, at)));
    const count = Math.max(1, Math.floor(AT_ONCE / film.requests.length));
    let made = 0;
    while (missing.length > 0) {
      const wanted = missing.indexOf(this.#wanted ?? -1);
      const batch = wanted >= 0 ? missing.splice(wanted, 1) : [];
      batch.push(...missing.splice(0, count - batch.length));
      const pictures = await this.#make(film, kind, batch, signal);
      made += size(pictures);
      // More than fits would push out what was just made; the rest waits until it is looked at.
      if (made + size(pictures) > room && missing.indexOf(this.#wanted ?? -1) < 0) break;
      // Drawing and typing come in between.
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    }
    return missing.length === 0;
  }

  async #make(film: Film, kind: Kind, batch: readonly number[], signal?: AbortSignal): Promise<Picture[]> {
    const each = film.moments[0]!.clean.length;
    const latents = new Float32Array(batch.length * each);
    batch.forEach((at, i) => latents.set(film.moments[at]![kind], i * each));
    const { pictures } = await this.#client.decode(this.#manifest, latents, false, signal);
    const of = film.requests.length;
    batch.forEach((at, i) => {
      this.put(film, kind, at, pictures.slice(i * of, (i + 1) * of));
      this.#developed(film, kind, at);
    });
    return pictures;
  }

  /** Makes the pictures of one step now. Rejects if that cannot be. */
  async now(film: Film, kinds: readonly Kind[], at: number): Promise<void> {
    for (const kind of kinds) if (!this.get(film, kind, at)) await this.#make(film, kind, [at]);
  }

  /** Somebody looks at a step whose picture is missing. */
  want(film: Film, kinds: readonly Kind[], at: number): void {
    this.#wanted = at;
    if (!this.#abort) void this.develop(film, kinds, 0);
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
  }
}

function name(film: Film, kind: Kind, at: number): string {
  return `${film.id} ${kind} ${at}`;
}

function size(pictures: readonly Picture[]): number {
  return pictures.reduce((sum, { rgba }) => sum + rgba.length, 0);
}

/** 0 to `count` - 1, every eighth first, then those between: a film that is begun can be looked at. */
export function spread(count: number): number[] {
  const order = new Set<number>();
  for (let stride = 8; stride >= 1; stride /= 2) for (let at = 0; at < count; at += stride) order.add(at);
  return [...order];
}
