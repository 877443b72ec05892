/**
 * What the worker does with each request: diagnosis, downloads, runs. Knows neither `postMessage` nor wasm, both are
 * handed in, so tests run it with an engine that computes nothing.
 *
 * Work on the engine is done one piece at a time; what needs no device (`tools.ts`) is done in between.
 */

import { unlessAborted } from "./abort.ts";
import { decide, type Diagnosis, type Facts } from "./diagnosis.ts";
import type { Bindings, DeviceFacts, Engine } from "./engine.ts";
import { asMaetokError, MaetokError } from "./errors.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { type ModelSummary, type Progress, type Reply, type Request, unreachable, type Wanted } from "./protocol.ts";
import { decode, sample } from "./sampling.ts";
import { open, Tools } from "./tools.ts";
import { fetchFile, get, isCached, type Source } from "./weights.ts";

export interface Surroundings {
  post: (reply: Reply) => void;
  gather: () => Promise<Facts>;
  source: () => Promise<Source>;
  loadBindings: (onBytes: (bytes: number) => void) => Promise<Bindings>;
  /** Size of the engine's file in bytes. */
  engineBytes: number;
  /** What was kept of an adapter's self-test. Neither rejects. */
  recall: (adapter: string) => Promise<string | undefined>;
  keep: (adapter: string, text: string) => Promise<void>;
  /** Lets waiting messages in. */
  breathe: () => Promise<void>;
  now: () => number;
}

/** Progress is reported at most this often, in milliseconds. */
const REPORT_EVERY = 100;

/** A row of the diagnosis. */
const SELF_TEST = "Self-test of the kernels";

export class Session {
  readonly #outside: Surroundings;
  readonly #running = new Map<number, AbortController>();
  #diagnosis: Diagnosis | null = null;
  /** The adapter by all its names. */
  #adapter = "";
  #refused: string[] = [];
  #retest = false;
  /** The question under way: a new worker's first request may overtake the answer. Never rejects. */
  #diagnosing: Promise<unknown> = Promise.resolve();
  #bindings: Bindings | null = null;
  /** The same on its way. The promise is kept, not only its result: two initialisations would be two engines. */
  #loading: Promise<Bindings> | null = null;
  /** Made once: a WebGPU runtime cannot be made twice, and a failed load does not harm it. */
  #engine: Engine | null = null;
  /** The same on its way. */
  #opening: Promise<Engine> | null = null;
  /** The engine tries its kernels, and hears for itself what the graphics processor refuses. */
  testing = false;
  /** The engine compiles ahead, and can do nothing else. Never rejects. */
  #warming: Promise<unknown> | null = null;
  /** What needs no device. */
  #tools: Tools | null = null;
  /** Address of the manifest whose model is on the engine. */
  #loaded: string | null = null;
  /** The end of the queue for the engine. Never rejects. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(outside: Surroundings) {
    this.#outside = outside;
  }

  /** Answers one request; never rejects. */
  async handle(request: Request): Promise<void> {
    if (request.kind === "cancel") {
      this.#running.get(request.id)?.abort();
      return;
    }
    const abort = new AbortController();
    this.#running.set(request.id, abort);
    try {
      this.#outside.post(await this.#answer(request, abort.signal));
    } catch (thrown) {
      // Without its trap a panic's error says "unreachable": ask what it was. Only a trap: an error of the network
      // after a panic long ago is still an error of the network.
      const panic = thrown instanceof WebAssembly.RuntimeError ? this.#bindings?.lastPanic() : undefined;
      const error = asMaetokError(thrown, panic).detail();
      // The engine on its way cannot be called back: Firefox's compiler waits for ever for an answer that was aborted, and
      // keeps the next from compiling. If nobody else waits for it, it goes with the worker.
      if (abort.signal.aborted && this.#loading && !this.#bindings && this.#running.size === 1) error.fatal = true;
      this.#outside.post({ kind: "error", id: request.id, error });
    } finally {
      this.#running.delete(request.id);
    }
  }

  /** A trap that came up outside any call, or a lost GPU: everything under way fails, the page replaces the worker. */
  crash(thrown: unknown): void {
    const panic = this.#bindings?.lastPanic();
    const found = asMaetokError(thrown, panic);
    const error = { ...found.detail(), fatal: true };
    // With nothing under way the page still has to hear of it: request 0 is nobody's.
    const ids = this.#running.size > 0 ? [...this.#running.keys()] : [0];
    this.#running.clear();
    for (const id of ids) this.#outside.post({ kind: "error", id, error });
  }

  /** The graphics processor refused a kernel that the self-test did not try. */
  refuse(kernel: string, why: string): void {
    this.crash(
      new MaetokError(
        "kernel",
        `The run failed: the graphics processor refuses the kernel ${kernel} (${why}).`,
        "The engine has been restarted and does without it if it can: try again, or choose the CPU engine above.",
        true,
        `${kernel}: ${why}`,
      ),
    );
  }

  async #answer(request: Exclude<Request, { kind: "cancel" }>, signal: AbortSignal): Promise<Reply> {
    const { id } = request;
    switch (request.kind) {
      case "diagnose":
        this.#refused = request.refused;
        this.#retest = request.retest;
        return { kind: "diagnosis", id, diagnosis: await this.#diagnose(request.wanted) };
      case "describe":
        return { kind: "model", id, model: await this.#describe(request.manifest, signal) };
      case "device":
        await this.#diagnosing;
        return { kind: "device", id, report: { diagnosis: this.#diagnosis, device: this.#engine && facts(this.#engine), memory: this.#bindings?.memory() ?? null } };
      case "prepare":
        return await this.#inTurn(id, signal, async () => {
          const { imageSize, latentTokens, latentChannels, patches, canHide } = await this.#ready(id, request.manifest, signal);
          return { kind: "prepared", id, facts: { imageSize, latentTokens, latentChannels, patches, canHide } };
        });
      case "generate":
        return await this.#inTurn(id, signal, () => this.#generate(request, signal));
      case "reconstruct":
        return await this.#uninterrupted(id, signal, () => this.#reconstruct(request, signal));
      case "encode":
        return await this.#uninterrupted(id, signal, async () => {
          const engine = await this.#ready(id, request.manifest, signal);
          return await this.#timed(id, signal, async () => {
            const { rgba, width } = request.picture;
            const latents = await engine.encode(new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length), width, request.hidden ?? undefined);
            return { kind: "encoded" as const, id, latents: new Float32Array(latents), ms: 0 };
          });
        });
      case "decode":
        return await this.#uninterrupted(id, signal, async () => {
          const engine = await this.#ready(id, request.manifest, signal);
          return await this.#timed(id, signal, async () => ({ kind: "decoded" as const, id, pictures: await decode(engine, request.latents, request.reconstructed), ms: 0 }));
        });
      case "bench":
        return await this.#uninterrupted(id, signal, async () => {
          const engine = await this.#ready(id, request.manifest, signal);
          const figures = await engine.bench(request.request, () => this.#outside.now() / 1000);
          return { kind: "benched", id, figures: JSON.parse(figures) as Record<string, unknown>[] };
        });
      case "open":
      case "score":
      case "mix":
      case "fit":
      case "project":
      case "png":
      case "png-text":
      case "npy":
      case "safetensors": {
        // Between two steps of a run is early enough: these ask nothing of the device.
        const bindings = await unlessAborted(signal, this.#loadBindings(() => {}));
        return (this.#tools ??= new Tools(bindings)).answer(request);
      }
      default:
        return unreachable(request);
    }
  }

  #diagnose(wanted: Wanted): Promise<Diagnosis> {
    const asking = this.#outside.gather().then((facts) => {
      const { vendor = "", architecture = "", device = "", description = "" } = facts.adapter ?? {};
      this.#adapter = [vendor, architecture, device, description].join(", ");
      this.#diagnosis = decide(facts, wanted);
      if (this.#retest && this.#diagnosis.engine === "webgpu") this.#check(true, "will be repeated with the next picture");
      return this.#diagnosis;
    });
    this.#diagnosing = asking.catch(() => {});
    return asking;
  }

  /** Waits until the engine is free, or no longer than `signal` says. */
  async #inTurn<T>(id: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#running.size > 1) this.#progress(id, { phase: "waiting" });
    const before = this.#queue;
    let leave = () => {};
    const left = new Promise<void>((resolve) => (leave = resolve));
    // Whoever leaves early does not let those behind pass the one in front.
    this.#queue = before.then(() => left);
    try {
      await unlessAborted(signal, before);
      return await work();
    } finally {
      leave();
    }
  }

  /** A call that nothing can interrupt: its caller need not wait for it, the next in the queue must. */
  async #uninterrupted<T>(id: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turn = this.#inTurn(id, signal, work);
    turn.catch((thrown: unknown) => {
      // Nobody listens any more, but the engine is lost all the same.
      if (signal.aborted && thrown instanceof WebAssembly.RuntimeError) this.crash(thrown);
    });
    return await unlessAborted(signal, turn);
  }

  /** Lets a stop in before and after a call of the engine, and says how long the call took. */
  async #timed<T extends { ms: number }>(id: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    this.#progress(id, { phase: "compute" });
    await this.#outside.breathe();
    signal.throwIfAborted();
    const began = this.#outside.now();
    const made = await work();
    const ms = this.#outside.now() - began;
    // On the CPU path the call above lets no message in: a stop meant for it is read here.
    await this.#outside.breathe();
    return { ...made, ms };
  }

  #progress(id: number, progress: Progress): void {
    this.#outside.post({ kind: "progress", id, progress });
  }

  async #manifest(url: string, signal: AbortSignal): Promise<{ manifest: Manifest; source: Source }> {
    const source = await this.#outside.source();
    const response = await get(url, "the model's manifest.json", source, signal);
    return { manifest: parseManifest(await response.text()), source };
  }

  async #describe(url: string, signal: AbortSignal): Promise<ModelSummary> {
    const { manifest, source } = await this.#manifest(url, signal);
    const cached = await Promise.all(manifest.needed.map((file) => isCached(file, url, source)));
    const missing = manifest.needed.filter((_, i) => !cached[i]);
    return {
      title: manifest.title,
      license: manifest.license,
      imageSize: manifest.imageSize,
      latentMean: manifest.latentMean,
      latentStd: manifest.latentStd,
      path: manifest.path,
      generates: manifest.generates,
      map: manifest.map,
      classes: manifest.classes.map((entry) => ({ ...entry, thumbnail: entry.thumbnail && new URL(entry.thumbnail, url).href })),
      // With the weights here the engine is in the browser's own cache: they came together.
      toDownload: missing.reduce((sum, file) => sum + file.size, missing.length === 0 || this.#bindings ? 0 : this.#outside.engineBytes),
    };
  }

  /** The engine's code, fetched once: who asks while it is on its way waits for the same. */
  #loadBindings(onBytes: (bytes: number) => void): Promise<Bindings> {
    this.#loading ??= this.#outside.loadBindings(onBytes).then(
      (bindings) => (this.#bindings = bindings),
      (error: unknown) => {
        this.#loading = null;
        throw error;
      },
    );
    return this.#loading;
  }

  /** The engine with the model on its device. What was ready before is not done again. */
  async #ready(id: number, url: string, signal: AbortSignal): Promise<Engine> {
    if (this.#engine && this.#loaded === url) return this.#engine;
    await this.#diagnosing;
    const chosen = this.#diagnosis?.engine;
    if (!chosen) throw new MaetokError("unsupported", this.#diagnosis?.reason ?? "The browser has not been examined.", this.#diagnosis?.advice);

    const { manifest, source } = await this.#manifest(url, signal);
    const total = manifest.needed.reduce((sum, file) => sum + file.size, this.#bindings ? 0 : this.#outside.engineBytes);
    let loaded = 0;
    let reported = -Infinity;
    const onBytes = (bytes: number) => {
      loaded += bytes;
      const now = this.#outside.now();
      if (now - reported < REPORT_EVERY) return;
      reported = now;
      this.#progress(id, { phase: "download", loaded: Math.min(loaded, total), total });
    };
    onBytes(0);
    // One failing download ends the others, so that none goes on behind an error message.
    const group = new AbortController();
    const both = AbortSignal.any([signal, group.signal]);
    const code = this.#loadBindings(onBytes);
    const files = manifest.needed.map((file) => fetchFile(file, url, source, both, onBytes));
    // The device is opened and compiles while the weights are on their way.
    const opened = code.then((bindings) => this.#openOnce(bindings, chosen));
    let arrived = false;
    const warmed = opened.then(async (engine) => {
      const configs = await Promise.all(manifest.configs.map((config) => files[manifest.needed.indexOf(config)]!));
      if (!arrived) await this.#warmUp(engine, manifest.text, configs);
    });
    // Whoever waits for one of them hears of its failure; a failure to compile ahead comes again in earnest.
    opened.catch(() => {});
    warmed.catch(() => {});
    const parts = [unlessAborted(both, code), ...files] as const;
    let bytes: Uint8Array[];
    try {
      [, ...bytes] = (await Promise.all(parts)) as [Bindings, ...Uint8Array[]];
    } catch (error) {
      group.abort();
      await Promise.allSettled(parts);
      throw error;
    }
    arrived = true;
    this.#progress(id, { phase: "load" });
    await this.#outside.breathe();
    const engine = await unlessAborted(signal, opened);
    await unlessAborted(signal, this.#warming ?? Promise.resolve());
    this.#loaded = null;
    engine.load(manifest.text, manifest.needed.map((file) => file.path), bytes);
    this.#loaded = url;
    return engine;
  }

  /** The engine on its device; who asks while it is opened waits for the same. */
  #openOnce(bindings: Bindings, chosen: "webgpu" | "cpu"): Promise<Engine> {
    this.#opening ??= this.#open(bindings, chosen).then(
      (engine) => (this.#engine = engine),
      (error: unknown) => {
        this.#opening = null;
        throw error;
      },
    );
    return this.#opening;
  }

  /** Compiles ahead, once, on a graphics processor. */
  #warmUp(engine: Engine, manifest: string, configs: Uint8Array[]): Promise<unknown> {
    if (facts(engine).kind !== "wgpu") return Promise.resolve();
    this.#warming ??= engine.warmUp(manifest, configs).catch(() => {});
    return this.#warming;
  }

  /** Opens the device. A WebGPU that looked well and does not open is no reason to refuse the picture. */
  async #open(bindings: Bindings, chosen: "webgpu" | "cpu"): Promise<Engine> {
    if (chosen === "cpu") return await bindings.createEngine("cpu", undefined, []);
    try {
      const kept = this.#retest ? undefined : await this.#outside.recall(this.#adapter);
      this.testing = true;
      const engine = await bindings.createEngine("webgpu", kept, this.#refused);
      await this.#learn(engine, kept);
      return engine;
    } catch (thrown) {
      // After a trap this instance is of no use for the CPU either.
      if (!this.#diagnosis || thrown instanceof WebAssembly.RuntimeError) throw thrown;
      const cause = asMaetokError(thrown).message.replace(/\.$/, "");
      this.#diagnosis = {
        ...this.#diagnosis,
        engine: "cpu",
        badge: "CPU",
        alert: true,
        reason: `Runs on the processor (WebAssembly SIMD): WebGPU did not start (${cause}).`,
        advice: "Updating the browser or the graphics driver may help.",
      };
      this.#outside.post({ kind: "diagnosis", id: 0, diagnosis: this.#diagnosis });
      return await bindings.createEngine("cpu", undefined, []);
    } finally {
      this.testing = false;
    }
  }

  /** The engine tried its kernels when it opened the device; what it left out costs speed, and people should know. */
  async #learn(engine: Engine, kept: string | undefined): Promise<void> {
    const { disabled_kernels: faults, self_test: test } = facts(engine);
    if (!test || !this.#diagnosis) return;
    if (test.text !== kept) await this.#outside.keep(this.#adapter, test.text);
    const found = faults.length === 0 ? "all gave the right numbers" : `left out, slower operations take their place: ${faults.join("; ")}`;
    this.#check(faults.length === 0, `${found} (${test.remembered ? "remembered" : "tested now"})`);
    this.#outside.post({ kind: "diagnosis", id: 0, diagnosis: this.#diagnosis });
  }

  /** Puts what is known of the self-test into the diagnosis. */
  #check(ok: boolean, value: string): void {
    const others = this.#diagnosis!.checks.filter(({ name }) => name !== SELF_TEST);
    this.#diagnosis = { ...this.#diagnosis!, checks: [...others, { name: SELF_TEST, ok, value }] };
  }

  async #generate(request: Extract<Request, { kind: "generate" }>, signal: AbortSignal): Promise<Reply> {
    const { id, manifest } = request;
    const { now, post, breathe } = this.#outside;
    const began = now();
    const engine = await this.#ready(id, manifest, signal);
    const waited = now() - began;
    this.#progress(id, { phase: "compute" });
    const { pictures, timing } = await sample(engine, request, signal, { now, breathe, onStep: (step) => post({ kind: "step", id, step }) });
    return { kind: "generated", id, pictures, timing: { engine: waited, ...timing } };
  }

  async #reconstruct(request: Extract<Request, { kind: "reconstruct" }>, signal: AbortSignal): Promise<Reply> {
    const { id, manifest, file, crop } = request;
    const engine = await this.#ready(id, manifest, signal);
    const bindings = this.#bindings!;
    return await this.#timed(id, signal, async () => {
      const opened = open(bindings, file, engine.imageSize, crop);
      const { rgba, width } = opened.square;
      const latents = new Float32Array(await engine.encode(new Uint8Array(rgba.buffer), width, undefined));
      const [reconstruction] = await decode(engine, latents, true);
      const [psnr, ssim] = bindings.scores(new Uint8Array(rgba.buffer), new Uint8Array(reconstruction!.rgba.buffer), width) as unknown as [number, number];
      return { ms: 0, result: { ...opened, reconstruction: reconstruction!, latents, psnr, ssim } };
    }).then(({ ms, result }) => ({ kind: "reconstructed", id, result: { ...result, ms } }));
  }
}

function facts(engine: Engine): DeviceFacts {
  return JSON.parse(engine.device()) as DeviceFacts;
}
