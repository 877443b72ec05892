/**
 * Everything page and worker say to each other. Both import this file; a case that is not handled does not compile.
 *
 * `id` numbers the request; every reply carries the id of what it answers. Pictures cross as transferables.
 */

import type { Diagnosis } from "./diagnosis.ts";
import type { DeviceFacts } from "./engine.ts";
import type { ErrorDetail } from "./errors.ts";
import type { MapFiles } from "./manifest.ts";

/** What a person may wish for; the diagnosis decides. */
export type Wanted = "auto" | "webgpu" | "cpu";

/** RGBA bytes in rows, `width * height * 4` of them. */
export interface Picture {
  rgba: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
}

/** Numbers of the tokenizer's latents, `[B, L, C]` row by row, in its own units. */
export type Latents = Float32Array<ArrayBuffer>;

/** How two latents or two noises are mixed. */
export type Way = "linear" | "spherical";

export interface SampleRequest {
  /** Name of the class in the manifest. */
  class: string;
  /** Another class, towards which the embedding is moved by a share from 0 to 1. */
  toward?: { class: string; share: number };
  /** Digits: seeds reach 2^64 - 1, JavaScript's numbers do not. */
  seed: string;
  /** Another seed, whose noise is mixed in with a share from 0 to 1. */
  blend?: { seed: string; share: number; way: Way };
  steps: number;
  guidance: number;
  /** Times between which guidance applies, 0 <= low <= high <= 1; always, if left out. */
  interval?: [low: number, high: number];
  sampler: "euler" | "heun" | "sde";
  /** Time at which the run begins; 1, noise alone, if left out. Earlier ones (from 0.05) begin with given latents. */
  start?: number;
}

/** What of a run is decoded while it goes on: the guess x̂0, the state x_t, both or nothing. */
export type Shown = "clean" | "state" | "both" | "nothing";

export interface ModelClass {
  name: string;
  label: string;
  group: string;
  /** Absolute address of a small picture. */
  thumbnail: string | null;
}

/** What the page needs to know of a model before a byte of it is downloaded. */
export interface ModelSummary {
  title: string;
  license: string;
  imageSize: number;
  /** Mean and standard deviation of the training set's latents: what the generator works on has 0 and 1. */
  latentMean: number;
  latentStd: number;
  /** How noise and picture are mixed at time t. */
  path: "linear" | "cosine";
  /** Whether it can make pictures, and not only take them apart. */
  generates: boolean;
  classes: ModelClass[];
  /** Bytes still to be downloaded before the first picture: weights not in the cache, and the engine. */
  toDownload: number;
  /** Files of the map of its training pictures, with sizes and hashes; null if it brings none. */
  map: MapFiles | null;
}

/** What is known of a model once it is loaded. */
export interface ModelFacts {
  imageSize: number;
  /** L */
  latentTokens: number;
  /** C */
  latentChannels: number;
  /** Patches of a picture, a square of them. */
  patches: number;
  /** Whether patches can be hidden from the encoder. */
  canHide: boolean;
}

export type Progress =
  | { phase: "waiting" }
  | { phase: "download"; loaded: number; total: number }
  | { phase: "load" }
  | { phase: "compute" }
  /** The device was lost; the run goes on after so many steps, on a new one. */
  | { phase: "resume"; taken: number; cause: string };

/** Where a run stands. */
export interface StepReport {
  index: number;
  of: number;
  /** Time at which the network was asked; 1 is noise, 0 is the picture. */
  t: number;
  /** What the network takes the finished latents to be (x̂0), and where the run stands after the step (x_t). */
  clean: Latents;
  state: Latents;
  /** The state to the last bit, from which the run can be taken up. */
  snapshot: Float64Array<ArrayBuffer>;
  /** Their pictures, one for each request, if this step has some. */
  cleanPictures: Picture[] | null;
  statePictures: Picture[] | null;
}

/** How long each part took, in milliseconds; a part that was ready already took 0. */
export interface Timing {
  engine: number;
  steps: number;
  previews: number;
  /** At how many steps something was shown. */
  shown: number;
}

/** A picture file as it was read. */
export interface Opened {
  /** The square of it that the model sees, at the model's size. */
  square: Picture;
  /** The whole of it, reduced to be looked at. */
  overview: Picture;
  /** Its own size in pixels. */
  width: number;
  height: number;
  /** What was done to the file to read it. */
  notices: string[];
}

/** A square of a picture in its own pixels. */
export interface Crop {
  x: number;
  y: number;
  side: number;
}

export interface Reconstruction extends Opened {
  reconstruction: Picture;
  latents: Latents;
  /** dB */
  psnr: number;
  ssim: number;
  ms: number;
}

/** Numbers under a name, for a file. */
export interface NamedArray {
  name: string;
  shape: number[];
  values: Float32Array<ArrayBuffer>;
}

/** What is known of the engine and of what it runs on. */
export interface DeviceReport {
  /** As it stands now: the engine may have found that what looked well is not. */
  diagnosis: Diagnosis | null;
  /** Null before it was wanted for anything. */
  device: DeviceFacts | null;
  /** Bytes of the engine's own memory; null before it was downloaded. */
  memory: number | null;
}

/** A figure of the in-page benchmark: see `maetok::bench::Figure`. */
export type Figure = Record<string, unknown>;

export type Request =
  /** `refused`: kernels that the graphics processor refused, `NAME: WHY`; `retest`: not to rely on an earlier self-test. */
  | { kind: "diagnose"; id: number; wanted: Wanted; refused: string[]; retest: boolean }
  | { kind: "describe"; id: number; manifest: string }
  | { kind: "device"; id: number }
  /** Downloads and loads what is not there yet. */
  | { kind: "prepare"; id: number; manifest: string }
  /** A batch, which differs in class and noise alone. `latents` of as many pictures are needed where it begins with some. */
  | { kind: "generate"; id: number; manifest: string; requests: SampleRequest[]; latents: Latents | null; shown: Shown; resume: { taken: number; snapshot: Float64Array<ArrayBuffer> } | null }
  | { kind: "reconstruct"; id: number; manifest: string; file: ArrayBuffer; crop: Crop | null }
  /** `hidden`: 1 for each patch that the encoder must not see. */
  | { kind: "encode"; id: number; manifest: string; picture: Picture; hidden: Uint8Array<ArrayBuffer> | null }
  /** `reconstructed`: rounded as reconstructions are scored, not as samples are. */
  | { kind: "decode"; id: number; manifest: string; latents: Latents; reconstructed: boolean }
  | { kind: "open"; id: number; file: ArrayBuffer; size: number; crop: Crop | null }
  | { kind: "score"; id: number; a: Picture; b: Picture }
  | { kind: "mix"; id: number; a: Latents; b: Latents; share: number; way: Way }
  /** Fits two or more principal components to rows of numbers, for `project`, and projects these. */
  | { kind: "fit"; id: number; rows: Float32Array<ArrayBuffer>; width: number; count: number }
  | { kind: "project"; id: number; rows: Float32Array<ArrayBuffer> }
  | { kind: "bench"; id: number; manifest: string; request: string }
  /** `text` goes into the file; `png-text` reads it back. */
  | { kind: "png"; id: number; picture: Picture; text: string | null }
  | { kind: "png-text"; id: number; file: ArrayBuffer }
  | { kind: "npy"; id: number; array: NamedArray }
  | { kind: "safetensors"; id: number; arrays: NamedArray[]; metadata: Record<string, string> }
  /** Asks request `id` to stop; that request still answers. */
  | { kind: "cancel"; id: number };

export type Reply =
  | { kind: "diagnosis"; id: number; diagnosis: Diagnosis }
  | { kind: "model"; id: number; model: ModelSummary }
  | { kind: "device"; id: number; report: DeviceReport }
  | { kind: "prepared"; id: number; facts: ModelFacts }
  | { kind: "progress"; id: number; progress: Progress }
  | { kind: "step"; id: number; step: StepReport }
  /** `pictures` is null when the run was stopped: the last step is what there is. */
  | { kind: "generated"; id: number; pictures: Picture[] | null; timing: Timing }
  | { kind: "reconstructed"; id: number; result: Reconstruction }
  | { kind: "encoded"; id: number; latents: Latents; ms: number }
  | { kind: "decoded"; id: number; pictures: Picture[]; ms: number }
  | { kind: "opened"; id: number; opened: Opened }
  | { kind: "scored"; id: number; psnr: number; ssim: number }
  | { kind: "mixed"; id: number; latents: Latents }
  /** `codes` has `count` numbers for each row; `shares` of the variance are the components'. */
  | { kind: "fitted"; id: number; codes: Float32Array<ArrayBuffer>; count: number; shares: number[] }
  | { kind: "projected"; id: number; codes: Float32Array<ArrayBuffer>; count: number }
  | { kind: "benched"; id: number; figures: Figure[] }
  | { kind: "file"; id: number; file: ArrayBuffer }
  | { kind: "text"; id: number; text: string | null }
  | { kind: "error"; id: number; error: ErrorDetail };

/** The buffers a message hands over instead of copying: of a request only files, since pictures and latents stay shown. */
export function transferables(message: Request | Reply): ArrayBuffer[] {
  const pictures = (list: Picture[] | null) => (list ?? []).map(({ rgba }) => rgba.buffer);
  // Pictures of one batch lie in one buffer.
  const once = (buffers: ArrayBuffer[]) => [...new Set(buffers)];
  switch (message.kind) {
    case "reconstruct":
    case "open":
    case "png-text":
    case "file":
      return [message.file];
    case "step": {
      const { clean, state, snapshot, cleanPictures, statePictures } = message.step;
      return once([clean.buffer, state.buffer, snapshot.buffer, ...pictures(cleanPictures), ...pictures(statePictures)]);
    }
    case "generated":
    case "decoded":
      return once(pictures(message.pictures));
    case "reconstructed": {
      const { square, overview, reconstruction, latents } = message.result;
      return once([...pictures([square, overview, reconstruction]), latents.buffer]);
    }
    case "opened":
      return once(pictures([message.opened.square, message.opened.overview]));
    case "encoded":
    case "mixed":
      return "latents" in message ? [message.latents.buffer] : [];
    case "fitted":
    case "projected":
      return [message.codes.buffer];
    case "diagnose":
    case "describe":
    case "device":
    case "prepare":
    case "generate":
    case "encode":
    case "decode":
    case "score":
    case "mix":
    case "fit":
    case "project":
    case "bench":
    case "png":
    case "npy":
    case "safetensors":
    case "cancel":
    case "diagnosis":
    case "model":
    case "prepared":
    case "progress":
    case "scored":
    case "benched":
    case "text":
    case "error":
      return [];
    default:
      return unreachable(message);
  }
}

/** Turns a forgotten case into a compile error. */
export function unreachable(value: never): never {
  throw new Error(`unhandled message ${JSON.stringify(value)}`);
}
