/**
 * One run, or a batch of them, in the worker: steps, the pictures shown on the way, the last picture.
 *
 * Between two steps the worker looks at its messages: that is what makes "stop" work, on the CPU path (which never
 * waits by itself) and on WebGPU (where nothing else bounds the queue).
 */

import type { Engine, Step } from "./engine.ts";
import type { Latents, Picture, Request, Shown, StepReport, Timing } from "./protocol.ts";

/** Pictures on the way take at most this share of the time that the steps take. */
export const PREVIEW_SHARE = 0.15;

export interface Watch {
  now: () => number;
  /** Lets waiting messages in. */
  breathe: () => Promise<void>;
  onStep: (step: StepReport) => void;
}

/** What comes of a run; no pictures if it was stopped. */
export interface Outcome {
  pictures: Picture[] | null;
  timing: Omit<Timing, "engine">;
}

export async function sample(engine: Engine, request: Extract<Request, { kind: "generate" }>, signal: AbortSignal, watch: Watch): Promise<Outcome> {
  const { requests, latents, shown, resume } = request;
  const { now, breathe, onStep } = watch;
  const json = JSON.stringify(requests);
  const run = resume ? engine.resume(json, resume.taken, resume.snapshot) : engine.start(json, latents ?? undefined);
  const budget = new Budget(PREVIEW_SHARE);
  let final: Float32Array = new Float32Array();
  try {
    for (;;) {
      await breathe();
      if (signal.aborted) return { pictures: null, timing: budget.timing() };
      const began = now();
      const step = await engine.step(run);
      if (!step) break;
      const report = reported(step, run.snapshot() as Float64Array<ArrayBuffer>);
      step.free();
      budget.step(now() - began);
      const last = report.index === report.of;
      if (shown !== "nothing" && (last || budget.allows())) {
        const decoding = now();
        await decodeShown(engine, report, shown);
        budget.preview(now() - decoding);
      }
      // Copied, since the report is handed over.
      if (last) final = report.state.slice();
      onStep(report);
    }
    const began = now();
    const pictures = await decode(engine, final, false);
    budget.step(now() - began);
    return { pictures, timing: budget.timing() };
  } finally {
    run.free();
  }
}

function reported(step: Step, snapshot: Float64Array<ArrayBuffer>): StepReport {
  const { index, of, t } = step;
  return { index, of, t, clean: step.clean as Latents, state: step.state as Latents, snapshot, cleanPictures: null, statePictures: null };
}

/** Decodes what is asked for, in one go. */
async function decodeShown(engine: Engine, report: StepReport, shown: Shown): Promise<void> {
  const { clean, state } = report;
  if (shown !== "both") {
    const pictures = await decode(engine, shown === "clean" ? clean : state, false);
    if (shown === "clean") report.cleanPictures = pictures;
    else report.statePictures = pictures;
    return;
  }
  const both = new Float32Array(clean.length + state.length);
  both.set(clean);
  both.set(state, clean.length);
  const pictures = await decode(engine, both, false);
  report.cleanPictures = pictures.slice(0, pictures.length / 2);
  report.statePictures = pictures.slice(pictures.length / 2);
}

/** Pictures of latents, one after the other; they share one buffer. */
export async function decode(engine: Engine, latents: Float32Array, reconstructed: boolean): Promise<Picture[]> {
  const size = engine.imageSize;
  const bytes = size * size * 4;
  // Copied out of whatever it lies in, so that it can be handed over.
  const rgba = new Uint8ClampedArray(await engine.decode(latents, reconstructed));
  return Array.from({ length: rgba.length / bytes }, (_, i) => ({ rgba: rgba.subarray(i * bytes, (i + 1) * bytes), width: size, height: size }));
}

/** Keeps account of the time, and says whether a picture on the way may be paid for. */
export class Budget {
  readonly #share: number;
  #steps = 0;
  #previews = 0;
  #shown = 0;

  constructor(share: number) {
    this.#share = share;
  }

  step(ms: number): void {
    this.#steps += ms;
  }

  preview(ms: number): void {
    this.#previews += ms;
    this.#shown++;
  }

  /** The first one is made to learn what it takes; from then on as many as the steps so far pay for. */
  allows(): boolean {
    if (this.#shown === 0) return true;
    const each = this.#previews / this.#shown;
    return this.#previews + each <= this.#share * this.#steps;
  }

  timing(): Omit<Timing, "engine"> {
    return { steps: this.#steps, previews: this.#previews, shown: this.#shown };
  }
}
