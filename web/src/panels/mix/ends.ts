/** What is mixed: two sources, turned into latents when they are wanted and kept for as long as they may be wanted again. */

import { cancelled } from "../../errors.ts";
import { joined } from "../../latents.ts";
import type { Latents, Picture, SampleRequest, StepReport } from "../../protocol.ts";
import type { Task } from "../../ui/task.ts";
import type { Lab } from "../panel.ts";

/** Where a side comes from. */
export type Source = {
  /** The same for the same latents. */
  key: string;
  /** For people, and for file names. */
  name: string;
} & ({ run: SampleRequest } | { square: (signal: AbortSignal) => Promise<Picture> });

export interface End {
  key: string;
  name: string;
  latents: Latents;
  /** What the decoder makes of them. */
  picture: Picture;
  /** What was encoded; null of a run. */
  original: Picture | null;
  /** What was asked of the generator; null of a picture. */
  run: SampleRequest | null;
}

/** So many are kept: each is a few kilobytes and a picture. */
const MOST = 12;

export class Ends {
  readonly #lab: Lab;
  readonly #kept = new Map<string, End>();

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  async get(sources: readonly Source[], signal: AbortSignal, task: Task): Promise<End[]> {
    const missing = [...new Map(sources.map((source) => [source.key, source])).values()].filter(({ key }) => !this.#kept.has(key));
    const runs = missing.filter((source) => "run" in source);
    if (runs.length > 0) {
      const made = await finished(this.#lab, runs.map(({ run }) => run), signal, task);
      runs.forEach(({ key, name, run }, i) => this.#keep({ key, name, run, original: null, ...made[i]! }));
    }
    for (const source of missing) {
      if (!("square" in source)) continue;
      const original = await source.square(signal);
      const { client, manifest } = this.#lab;
      const listeners = { onProgress: task.progress.bind(task) };
      const { latents } = await client.encode(manifest, original, null, signal, listeners);
      const { pictures } = await client.decode(manifest, latents, false, signal, listeners);
      this.#keep({ key: source.key, name: source.name, run: null, original, latents, picture: pictures[0]! });
    }
    return sources.map(({ key }) => this.#kept.get(key)!);
  }

  #keep(end: End): void {
    this.#kept.set(end.key, end);
    for (const key of this.#kept.keys()) {
      if (this.#kept.size <= MOST) break;
      this.#kept.delete(key);
    }
  }
}

/** Whole runs in one batch: the latents and pictures they end with. `watch` sees the steps. */
export async function finished(
  lab: Lab,
  requests: SampleRequest[],
  signal: AbortSignal,
  task: Task,
  { from, watch }: { from?: readonly Latents[]; watch?: (step: StepReport) => void } = {},
): Promise<{ latents: Latents; picture: Picture }[]> {
  let state: Latents = new Float32Array();
  const { pictures } = await lab.client.generate(lab.manifest, requests, signal, {
    shown: "nothing",
    ...(from && { latents: joined(from) }),
    onProgress: (progress) => task.progress(progress),
    onStep: (step) => {
      task.step(step);
      state = step.state;
      watch?.(step);
    },
  });
  if (!pictures) throw cancelled();
  const size = state.length / pictures.length;
  return pictures.map((picture, i) => ({ picture, latents: state.slice(i * size, (i + 1) * size) }));
}
