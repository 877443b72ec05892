/** The page's end of the worker: a promise per request, an `AbortSignal` to stop it, a new worker when one is lost. */

import type { Diagnosis } from "./diagnosis.ts";
import { cancelled, MaetokError } from "./errors.ts";
import { type ModelSummary, type Picture, type Progress, type Reconstruction, type Reply, type Request, type SampleRequest, type StepReport, type Timing, transferables, unreachable, type Wanted } from "./protocol.ts";

export interface Generated {
  /** Null when the run was stopped. */
  picture: Picture | null;
  timing: Timing;
}

interface Pending {
  resolve: (reply: Reply) => void;
  reject: (error: MaetokError) => void;
  onProgress?: ((progress: Progress) => void) | undefined;
  onStep?: ((step: StepReport) => void) | undefined;
}

type Body<R> = R extends Request ? Omit<R, "id"> : never;
type Listeners = Pick<Pending, "onProgress" | "onStep">;

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
    const reply = await this.#ask({ kind: "diagnose", wanted: this.#wanted, ...this.#kernels });
    if (reply.kind === "diagnosis") return reply.diagnosis;
    throw unexpected(reply);
  }

  async describe(manifest: string): Promise<ModelSummary> {
    const reply = await this.#ask({ kind: "describe", manifest });
    if (reply.kind === "model") return reply.model;
    throw unexpected(reply);
  }

  async generate(manifest: string, request: SampleRequest, signal: AbortSignal, listeners: Listeners = {}): Promise<Generated> {
    const reply = await this.#ask({ kind: "generate", manifest, request }, signal, listeners);
    if (reply.kind === "generated") return { picture: reply.picture, timing: reply.timing };
    throw unexpected(reply);
  }

  async reconstruct(manifest: string, file: ArrayBuffer, signal: AbortSignal, listeners: Listeners = {}): Promise<Reconstruction> {
    const reply = await this.#ask({ kind: "reconstruct", manifest, file }, signal, listeners);
    if (reply.kind === "reconstructed") return reply.result;
    throw unexpected(reply);
  }

  async png(picture: Picture): Promise<Blob> {
    const reply = await this.#ask({ kind: "png", picture });
    if (reply.kind === "png") return new Blob([reply.file], { type: "image/png" });
    throw unexpected(reply);
  }

  #ask(body: Body<Request>, signal?: AbortSignal, listeners: Listeners = {}): Promise<Reply> {
    if (signal?.aborted) return Promise.reject(cancelled());
    const id = this.#next++;
    const worker = this.#ready();
    const request = { ...body, id } as Request;
    return new Promise<Reply>((resolve, reject) => {
      const stop = () => worker.postMessage({ kind: "cancel", id } satisfies Request);
      const done = () => signal?.removeEventListener("abort", stop);
      signal?.addEventListener("abort", stop);
      this.#pending.set(id, {
        resolve: (reply) => (done(), resolve(reply)),
        reject: (error) => (done(), reject(error)),
        ...listeners,
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
      case "generated":
      case "reconstructed":
      case "png":
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
  }
}

function unexpected(reply: Reply): Error {
  return new Error(`the worker answered with ${reply.kind}`);
}
