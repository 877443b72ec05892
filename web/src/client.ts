/** The page's end of the worker: a promise per request, an `AbortSignal` to stop it, a new worker when one is lost. */

import type { Diagnosis } from "./diagnosis.ts";
import { cancelled, MaetokError } from "./errors.ts";
import { Journal } from "./journal.ts";
import { type Crop, type DeviceReport, type Figure, type Latents, type ModelFacts, type ModelSummary, type NamedArray, type Opened, type Picture, type Progress, type Reconstruction, type Reply, type Request, type SampleRequest, type Shown, type StepReport, type Timing, transferables, unreachable, type Wanted, type Way } from "./protocol.ts";

export interface Generated {
  /** One for each request; null when the run was stopped. */
  pictures: Picture[] | null;
  /** Of the steps since `resumed`. */
  timing: Timing;
  /** How many steps a lost device had taken, before this one went on; 0 if none was lost. */
  resumed: number;
}

export interface GenerateOptions extends Listeners {
  /** With what runs begin that do not begin with noise alone. */
  latents?: Latents;
  /** What is decoded on the way; the guesses, if left out. */
  shown?: Shown;
}

/** A lost device is replaced at most so often in one run. */
const MOST_RESUMES = 3;

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: MaetokError) => void;
  onProgress?: ((progress: Progress) => void) | undefined;
  onStep?: ((step: StepReport) => void) | undefined;
}

type Body<R> = R extends Request ? Omit<R, "id"> : never;
export type Listeners = Pick<Pending, "onProgress" | "onStep">;

/** The part of `Worker` in use. */
export type Port = Pick<Worker, "postMessage" | "terminate" | "onmessage" | "onerror">;

export class Client {
  readonly #makeWorker: () => Port;
  #worker: Port | null = null;
  #wanted: Wanted;
  /** What every worker is told beside it. */
  #kernels: { refused: string[]; retest: boolean } = { refused: [], retest: false };
  #pending = new Map<number, Pending>();
  #next = 1;
  /** What was asked here and how long it took. */
  readonly journal = new Journal();
  /** Hears of every diagnosis nobody asked for: a new worker's first, and a change of engine on the way. */
  onDiagnosis: (diagnosis: Diagnosis) => void = () => {};

  constructor(wanted: Wanted, makeWorker: () => Port) {
    this.#wanted = wanted;
    this.#makeWorker = makeWorker;
  }

  /** Ends what is under way and starts anew, with another wish if one is given. */
  restart(wanted: Wanted = this.#wanted): void {
    this.#wanted = wanted;
    this.end();
  }

  /** The same, and the kernels are tested again with the next picture, whatever is remembered of them. */
  retest(): void {
    this.#kernels = { refused: [], retest: true };
    this.restart();
  }

  /** Ends what is under way and the worker with it. */
  end(): void {
    this.#lose(cancelled());
  }

  async diagnose(): Promise<Diagnosis> {
    return (await this.#answer("diagnosis", { kind: "diagnose", wanted: this.#wanted, ...this.#kernels })).diagnosis;
  }

  /** What the engine says of its device. Starts nothing: without an engine there is little to say. */
  async device(): Promise<DeviceReport> {
    return (await this.#answer("device", { kind: "device" })).report;
  }

  async describe(manifest: string): Promise<ModelSummary> {
    return (await this.#answer("model", { kind: "describe", manifest })).model;
  }

  /** Downloads and loads what is not there yet. */
  async prepare(manifest: string, signal?: AbortSignal, listeners: Listeners = {}): Promise<ModelFacts> {
    return (await this.#answer("prepared", { kind: "prepare", manifest }, signal, listeners)).facts;
  }

  /**
   * Runs a batch, which differs in class and noise alone. Where the graphics processor is lost on the way, the run goes
   * on from its last step on a new one; `onProgress` hears of it.
   */
  async generate(manifest: string, requests: SampleRequest[], signal: AbortSignal, options: GenerateOptions = {}): Promise<Generated> {
    const { latents = null, shown = "clean", onProgress, onStep } = options;
    let newest: StepReport | null = null;
    const listeners: Listeners = {
      onProgress,
      onStep: (step) => {
        newest = step;
        onStep?.(step);
      },
    };
    let resumed = 0;
    for (let resumes = 0; ; resumes++) {
      // Read anew: TypeScript does not see that the listener sets it.
      const last = newest as StepReport | null;
      try {
        if (last && last.index === last.of) {
          // All steps are done: only the last picture was lost.
          const { pictures, ms } = await this.decode(manifest, last.state, false, signal, listeners);
          return { pictures, timing: { engine: 0, steps: ms, previews: 0, shown: 0 }, resumed: last.index };
        }
        const resume = last && { taken: last.index, snapshot: last.snapshot };
        const { pictures, timing } = await this.#answer("generated", { kind: "generate", manifest, requests, latents, shown, resume }, signal, listeners);
        return { pictures, timing, resumed };
      } catch (thrown) {
        const lost = thrown instanceof MaetokError && thrown.code === "device" && thrown.fatal;
        const reached = newest as StepReport | null;
        if (!lost || !reached || signal.aborted || resumes === MOST_RESUMES) throw thrown;
        resumed = reached.index;
        onProgress?.({ phase: "resume", taken: resumed, cause: thrown.message });
      }
    }
  }

  async reconstruct(manifest: string, file: ArrayBuffer, signal: AbortSignal, listeners: Listeners = {}, crop: Crop | null = null): Promise<Reconstruction> {
    return (await this.#answer("reconstructed", { kind: "reconstruct", manifest, file, crop }, signal, listeners)).result;
  }

  /** `hidden`: 1 for each patch that the encoder must not see. */
  async encode(manifest: string, picture: Picture, hidden: Uint8Array<ArrayBuffer> | null = null, signal?: AbortSignal, listeners: Listeners = {}): Promise<{ latents: Latents; ms: number }> {
    return await this.#answer("encoded", { kind: "encode", manifest, picture, hidden }, signal, listeners);
  }

  /** `reconstructed`: rounded as reconstructions are scored, not as samples are. */
  async decode(manifest: string, latents: Latents, reconstructed = false, signal?: AbortSignal, listeners: Listeners = {}): Promise<{ pictures: Picture[]; ms: number }> {
    return await this.#answer("decoded", { kind: "decode", manifest, latents, reconstructed }, signal, listeners);
  }

  /** Reads a picture file; its square has `size` pixels a side. */
  async open(file: ArrayBuffer, size: number, crop: Crop | null = null, signal?: AbortSignal): Promise<Opened> {
    return (await this.#answer("opened", { kind: "open", file, size, crop }, signal)).opened;
  }

  /** PSNR in dB, infinite when equal, and SSIM. */
  async score(a: Picture, b: Picture): Promise<{ psnr: number; ssim: number }> {
    return await this.#answer("scored", { kind: "score", a, b });
  }

  async mix(a: Latents, b: Latents, share: number, way: Way): Promise<Latents> {
    return (await this.#answer("mixed", { kind: "mix", a, b, share, way })).latents;
  }

  /** Fits principal components, which `project` uses until others are fitted or the worker is lost. */
  async fit(rows: Float32Array<ArrayBuffer>, width: number, count: number): Promise<{ codes: Float32Array<ArrayBuffer>; count: number; shares: number[] }> {
    return await this.#answer("fitted", { kind: "fit", rows, width, count });
  }

  async project(rows: Float32Array<ArrayBuffer>): Promise<{ codes: Float32Array<ArrayBuffer>; count: number }> {
    return await this.#answer("projected", { kind: "project", rows });
  }

  /** `request`: see `Engine::bench` in `crate/web`. */
  async bench(manifest: string, request: Record<string, unknown>, signal: AbortSignal, listeners: Listeners = {}): Promise<Figure[]> {
    return (await this.#answer("benched", { kind: "bench", manifest, request: JSON.stringify(request) }, signal, listeners)).figures;
  }

  /** `text` goes into the file. */
  async png(picture: Picture, text: string | null = null): Promise<Blob> {
    return new Blob([(await this.#answer("file", { kind: "png", picture, text })).file], { type: "image/png" });
  }

  /** The text that `png` put into a file; null if it is none of ours. */
  async pngText(file: ArrayBuffer): Promise<string | null> {
    return (await this.#answer("text", { kind: "png-text", file })).text;
  }

  async npy(array: NamedArray): Promise<Blob> {
    return new Blob([(await this.#answer("file", { kind: "npy", array })).file]);
  }

  async safetensors(arrays: NamedArray[], metadata: Record<string, string>): Promise<Blob> {
    return new Blob([(await this.#answer("file", { kind: "safetensors", arrays, metadata })).file]);
  }

  /** The answer of the kind expected. */
  async #answer<K extends Reply["kind"]>(kind: K, body: Body<Request>, signal?: AbortSignal, listeners: Listeners = {}): Promise<Extract<Reply, { kind: K }>> {
    const reply = await this.#ask(body, signal, listeners);
    if (reply.kind !== kind) throw new Error(`the worker answered with ${reply.kind}`);
    return reply as Extract<Reply, { kind: K }>;
  }

  #ask(body: Body<Request>, signal?: AbortSignal, listeners: Listeners = {}): Promise<Reply> {
    if (signal?.aborted) return Promise.reject(cancelled());
    const id = this.#next++;
    const worker = this.#ready();
    const request = { ...body, id } as Request;
    const pen = this.journal.begin(request);
    return new Promise<Reply>((resolve, reject) => {
      const stop = () => worker.postMessage({ kind: "cancel", id } satisfies Request);
      const done = () => signal?.removeEventListener("abort", stop);
      signal?.addEventListener("abort", stop);
      this.#pending.set(id, {
        resolve: (reply) => (done(), pen?.end(reply), resolve(reply)),
        reject: (error) => (done(), pen?.fail(error), reject(error)),
        onProgress: (progress) => (pen?.progress(progress), listeners.onProgress?.(progress)),
        onStep: (step) => (pen?.step(step), listeners.onStep?.(step)),
      });
      worker.postMessage(request, transferables(request));
    });
  }

  /** The worker; a new one is told first what it may run on. */
  #ready(): Port {
    if (this.#worker) return this.#worker;
    const worker = this.#makeWorker();
    worker.onmessage = (event: MessageEvent<Reply>) => this.#hear(event.data);
    // The worker's script did not load, which gives no reason, or failed before it could listen for its own errors.
    worker.onerror = (event) => {
      event.preventDefault();
      const { message } = event as Partial<ErrorEvent>;
      this.#lose(
        message
          ? new MaetokError("crash", `The engine's worker failed (${message.replace(/\.$/, "")}).`, "It has been restarted: try again, or reload the page.", true)
          : new MaetokError("download", "The script of the engine's worker could not be loaded.", "Check the connection and try again.", true),
      );
    };
    worker.postMessage({ kind: "diagnose", id: 0, wanted: this.#wanted, ...this.#kernels } satisfies Request);
    this.#worker = worker;
    return worker;
  }

  #hear(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    switch (reply.kind) {
      case "progress":
        pending?.onProgress?.(reply.progress);
        return;
      case "step":
        pending?.onStep?.(reply.step);
        return;
      case "error": {
        this.#pending.delete(reply.id);
        const error = MaetokError.from(reply.error);
        pending?.reject(error);
        if (error.refused !== undefined) this.#kernels = { ...this.#kernels, refused: [...this.#kernels.refused, error.refused] };
        if (error.fatal) this.#lose(error);
        return;
      }
      case "diagnosis":
        if (!pending) this.onDiagnosis(reply.diagnosis);
        this.#pending.delete(reply.id);
        pending?.resolve(reply);
        return;
      case "model":
      case "device":
      case "prepared":
      case "generated":
      case "reconstructed":
      case "encoded":
      case "decoded":
      case "opened":
      case "scored":
      case "mixed":
      case "fitted":
      case "projected":
      case "benched":
      case "file":
      case "text":
        this.#pending.delete(reply.id);
        pending?.resolve(reply);
        return;
      default:
        unreachable(reply);
    }
  }

  #lose(error: MaetokError): void {
    this.#worker?.terminate();
    this.#worker = null;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
    this.journal.tell();
  }
}
