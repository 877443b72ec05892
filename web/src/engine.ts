/**
 * The wasm module as the worker uses it. `Bindings` is the part of `pkg/maetok_web.d.ts` in use, so that the worker's
 * logic can be tested with an engine that computes nothing; that the real one fits is checked below by the compiler.
 */

import { MaetokError } from "./errors.ts";

export interface Bindings {
  /** `remembered`: what the self-test found out before; `refused`: kernels to leave out, `NAME: WHY`. */
  createEngine(kind: "webgpu" | "cpu", remembered: string | undefined, refused: string[]): Promise<Engine>;
  /** Reads a picture file; the square of it has `size` pixels a side. `crop`: left, top, side. */
  openPicture(file: Uint8Array, size: number, crop: Uint32Array | undefined): Opened;
  /** PSNR in dB and SSIM of two RGBA pictures. */
  scores(a: Uint8Array, b: Uint8Array, width: number): Float64Array;
  mixLatents(a: Float32Array, b: Float32Array, share: number, way: string): Float32Array;
  fitComponents(rows: Float32Array, width: number, count: number): Components;
  /** A PNG file of RGBA rows `width` pixels wide, with a text inside. */
  encodePng(rgba: Uint8Array, width: number, text: string | undefined): Uint8Array;
  pngText(file: Uint8Array): string | undefined;
  toNpy(values: Float32Array, shape: Uint32Array): Uint8Array;
  toSafetensors(names: string[], values: Float32Array[], shapes: number[][], metadata: string): Uint8Array;
  /** What the engine said when it panicked. */
  lastPanic(): string | undefined;
  /** Bytes of its memory. */
  memory(): number;
}

export interface Engine {
  readonly imageSize: number;
  readonly latentTokens: number;
  readonly latentChannels: number;
  readonly patches: number;
  readonly canHide: boolean;
  /** JSON of a `DeviceFacts`. */
  device(): string;
  /** Lets the device compile what pictures need, before there are weights. */
  warmUp(manifest: string, configs: Uint8Array[]): Promise<void>;
  load(manifest: string, paths: string[], contents: Uint8Array[]): void;
  /** JSON of one request or a list. */
  start(requests: string, latents: Float32Array | undefined): Run;
  resume(requests: string, taken: number, snapshot: Float64Array): Run;
  step(run: Run): Promise<Step | undefined>;
  /** Pictures of latents, one after the other. */
  decode(latents: Float32Array, reconstructed: boolean): Promise<Uint8ClampedArray>;
  encode(rgba: Uint8Array, width: number, hidden: Uint8Array | undefined): Promise<Float32Array>;
  /** JSON to JSON; `clock` gives seconds. */
  bench(request: string, clock: () => number): Promise<string>;
}

/** The engine's account of its device. */
export interface DeviceFacts {
  kind: string;
  /** Of the adapter, or of the CPU path. */
  name?: string;
  backend?: string;
  software?: boolean;
  /** Why this one. */
  reason?: string;
  /** `NAME: WHY` */
  disabled_kernels: string[];
  /** Null where nothing had to be tested. `text` is what to remember of it. */
  self_test: { remembered: boolean; text: string } | null;
}

export interface Run {
  snapshot(): Float64Array;
  free(): void;
}

export interface Step {
  readonly index: number;
  readonly of: number;
  readonly t: number;
  readonly clean: Float32Array;
  readonly state: Float32Array;
  free(): void;
}

export interface Opened {
  readonly square: Uint8ClampedArray;
  readonly size: number;
  readonly overview: Uint8ClampedArray;
  readonly overviewWidth: number;
  readonly overviewHeight: number;
  readonly width: number;
  readonly height: number;
  readonly notices: string[];
  free(): void;
}

/** Principal components of rows of numbers. */
export interface Components {
  readonly count: number;
  /** Of the variance. */
  shares(): Float64Array;
  /** Coordinates of rows, `count` numbers each. */
  project(rows: Float32Array): Float32Array;
  free(): void;
}

/** Size of the wasm file as built, for the progress bar: a compressed transfer does not tell its length. */
declare const __WASM_BYTES__: number;
export const WASM_BYTES = typeof __WASM_BYTES__ === "number" ? __WASM_BYTES__ : 0;

/**
 * Downloads and compiles the engine. `onBytes` hears how many bytes have arrived since it was last called. Nothing stops
 * it: see `Session.handle`.
 */
export async function loadBindings(onBytes: (bytes: number) => void): Promise<Bindings> {
  const [wasm, url] = await code();
  let memory: WebAssembly.Memory | null = null;
  const init = async (from: { module_or_path: Response }) => {
    memory = (await wasm.default(from)).memory;
  };
  await instantiate(url.default, init, onBytes);
  return {
    createEngine: (kind, remembered, refused) => wasm.Engine.create(kind, remembered, refused) satisfies Promise<Omit<Engine, RunTaking>> as unknown as Promise<Engine>,
    fitComponents: wasm.Components.fit,
    openPicture: wasm.openPicture,
    scores: wasm.scores,
    mixLatents: wasm.mixLatents,
    encodePng: wasm.encodePng,
    pngText: wasm.pngText,
    toNpy: wasm.toNpy,
    toSafetensors: wasm.toSafetensors,
    lastPanic: wasm.lastPanic,
    memory: () => memory?.buffer.byteLength ?? 0,
  };
}

/** The generated JavaScript, and where the wasm file lies. */
async function code() {
  try {
    // Both addresses are written out so that Vite sees them and gives the files names with their hash.
    return await Promise.all([import("../pkg/maetok_web.js"), import("../pkg/maetok_web_bg.wasm?url")]);
  } catch {
    // Fatal, because a worker may remember for all its life that a module did not load: a new one asks again.
    throw new MaetokError("download", "The download of the engine failed: a part of its script did not arrive.", "Check the connection and try again.", true);
  }
}

/**
 * Downloads the wasm file at `url` and hands the answer to `init`, which compiles it.
 *
 * Throws `MaetokError` with code `download` or `unsupported`.
 */
export async function instantiate(
  url: string,
  init: (from: { module_or_path: Response }) => Promise<unknown>,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new MaetokError("download", "The download of the engine failed: the server cannot be reached.", "Check the connection and try again.");
  }
  if (!response.ok || !response.body) {
    throw new MaetokError("download", `The server refused the engine (HTTP ${response.status}).`, "Try again later.");
  }
  // The answer itself goes to the compiler, so that the browser can compile while it downloads and keep what it
  // compiled; a copy is counted.
  const arriving = count(response.clone(), onBytes);
  try {
    await init({ module_or_path: response });
  } catch (error) {
    // A file that is not whole does not compile either: the browser is blamed only for one that is.
    const { begins, whole } = await arriving;
    if (whole && !begins) {
      throw new MaetokError("download", "The server sent something else in place of the engine.", "Try again later.");
    }
    if (whole && (error instanceof WebAssembly.CompileError || error instanceof WebAssembly.LinkError)) {
      throw new MaetokError("unsupported", "This browser cannot compile the engine.", "Update the browser, or reload the page if it was updated.");
    }
    throw new MaetokError("download", "The download of the engine broke off.", "Check the connection and try again.");
  }
  await arriving;
}

/** What every wasm file begins with. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

interface Arrived {
  /** It begins as a wasm file does. */
  begins: boolean;
  /** It came to its end. */
  whole: boolean;
}

async function count(response: Response, onBytes: (bytes: number) => void): Promise<Arrived> {
  const reader = response.body!.getReader();
  const head: number[] = [];
  const arrived = (whole: boolean) => ({ begins: MAGIC.every((byte, i) => head[i] === byte), whole });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return arrived(true);
      if (head.length < MAGIC.length) head.push(...value.subarray(0, MAGIC.length));
      onBytes(value.length);
    }
  } catch {
    // The compiler meets the same failure and tells it.
    return arrived(false);
  }
}

/** Methods that take the generated class `Run`, which has private members that no interface can name. */
type RunTaking = "step";
