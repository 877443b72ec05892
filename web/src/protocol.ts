/**
 * Everything page and worker say to each other. Both import this file; a case that is not handled does not compile.
 *
 * `id` numbers the request; every reply carries the id of what it answers. Pictures cross as transferables.
 */

import type { Diagnosis } from "./diagnosis.ts";
import type { ErrorDetail } from "./errors.ts";

/** What a person may wish for; the diagnosis decides. */
export type Wanted = "auto" | "webgpu" | "cpu";

/** RGBA bytes in rows, `width * height * 4` of them. */
export interface Picture {
  rgba: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
}

export interface SampleRequest {
  /** Name of the class in the manifest. */
  class: string;
  /** Digits: seeds reach 2^64 - 1, JavaScript's numbers do not. */
  seed: string;
  steps: number;
  guidance: number;
  sampler: "euler" | "heun" | "sde";
}

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
  classes: ModelClass[];
  /** Bytes still to be downloaded before the first picture: weights not in the cache, and the engine. */
  toDownload: number;
}

export type Progress =
  | { phase: "waiting" }
  | { phase: "download"; loaded: number; total: number }
  | { phase: "load" }
  | { phase: "compute" };

/** Where a run stands, with its x̂0 preview if this step has one. */
export interface StepReport {
  index: number;
  of: number;
  /** 1 is noise, 0 is the picture. */
  t: number;
  preview: Picture | null;
}

/** More guesses than this are neither computed nor kept; longer runs show every second, third, … step. */
const MOST_PREVIEWS = 250;

/** A run of `steps` steps has a preview at every so-many-th step, and at the last. */
export function previewEvery(steps: number): number {
  return Math.ceil(steps / MOST_PREVIEWS);
}

/** How long each part took, in milliseconds; a part that was ready already took 0. */
export interface Timing {
  engine: number;
  steps: number;
  previews: number;
}

export interface Reconstruction {
  original: Picture;
  reconstruction: Picture;
  /** dB */
  psnr: number;
  ssim: number;
  /** Length of the latent. */
  numbers: number;
  notices: string[];
  ms: number;
}

export type Request =
  /** `refused`: kernels that the graphics processor refused, `NAME: WHY`; `retest`: not to rely on an earlier self-test. */
  | { kind: "diagnose"; id: number; wanted: Wanted; refused: string[]; retest: boolean }
  | { kind: "describe"; id: number; manifest: string }
  | { kind: "generate"; id: number; manifest: string; request: SampleRequest }
  | { kind: "reconstruct"; id: number; manifest: string; file: ArrayBuffer }
  | { kind: "png"; id: number; picture: Picture }
  /** Asks request `id` to stop; that request still answers. */
  | { kind: "cancel"; id: number };

export type Reply =
  | { kind: "diagnosis"; id: number; diagnosis: Diagnosis }
  | { kind: "model"; id: number; model: ModelSummary }
  | { kind: "progress"; id: number; progress: Progress }
  | { kind: "step"; id: number; step: StepReport }
  /** `picture` is null when the run was stopped: the last preview is what there is. */
  | { kind: "generated"; id: number; picture: Picture | null; timing: Timing }
  | { kind: "reconstructed"; id: number; result: Reconstruction }
  | { kind: "png"; id: number; file: ArrayBuffer }
  | { kind: "error"; id: number; error: ErrorDetail };

/** The buffers a message hands over instead of copying. */
export function transferables(message: Request | Reply): ArrayBuffer[] {
  switch (message.kind) {
    case "reconstruct":
      return [message.file];
    case "step":
      return message.step.preview ? [message.step.preview.rgba.buffer] : [];
    case "generated":
      return message.picture ? [message.picture.rgba.buffer] : [];
    case "reconstructed":
      return [message.result.original.rgba.buffer, message.result.reconstruction.rgba.buffer];
    case "png":
      // The request's picture is still shown on the page, so it is copied; the reply's file is handed over.
      return "file" in message ? [message.file] : [];
    case "diagnose":
    case "describe":
    case "generate":
    case "cancel":
    case "diagnosis":
    case "model":
    case "progress":
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
