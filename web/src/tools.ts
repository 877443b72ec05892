/** What the engine's code does without a device: files in and out, scores, mixtures, principal components. */

import type { Bindings, Components } from "./engine.ts";
import { MaetokError } from "./errors.ts";
import { type Crop, type Opened, type Picture, type Reply, type Request, unreachable } from "./protocol.ts";

type ToolRequest = Extract<Request, { kind: "open" | "score" | "mix" | "fit" | "project" | "png" | "png-text" | "npy" | "safetensors" }>;

export class Tools {
  readonly #bindings: Bindings;
  /** The components fitted last. */
  #components: Components | null = null;

  constructor(bindings: Bindings) {
    this.#bindings = bindings;
  }

  answer(request: ToolRequest): Reply {
    const { id } = request;
    const bindings = this.#bindings;
    switch (request.kind) {
      case "open":
        return { kind: "opened", id, opened: open(bindings, request.file, request.size, request.crop) };
      case "score": {
        const [psnr, ssim] = bindings.scores(bytes(request.a), bytes(request.b), request.a.width);
        return { kind: "scored", id, psnr: psnr!, ssim: ssim! };
      }
      case "mix":
        return { kind: "mixed", id, latents: new Float32Array(bindings.mixLatents(request.a, request.b, request.share, request.way)) };
      case "fit": {
        const fitted = bindings.fitComponents(request.rows, request.width, request.count);
        this.#components?.free();
        this.#components = fitted;
        return { kind: "fitted", id, codes: new Float32Array(fitted.project(request.rows)), count: fitted.count, shares: [...fitted.shares()] };
      }
      case "project": {
        const fitted = this.#components;
        if (!fitted) throw new MaetokError("setting", "There are no principal components to project on yet.");
        return { kind: "projected", id, codes: new Float32Array(fitted.project(request.rows)), count: fitted.count };
      }
      case "png":
        return { kind: "file", id, file: copied(bindings.encodePng(bytes(request.picture), request.picture.width, request.text ?? undefined)) };
      case "png-text":
        return { kind: "text", id, text: bindings.pngText(new Uint8Array(request.file)) ?? null };
      case "npy":
        return { kind: "file", id, file: copied(bindings.toNpy(request.array.values, Uint32Array.from(request.array.shape))) };
      case "safetensors": {
        const { arrays, metadata } = request;
        const file = bindings.toSafetensors(arrays.map(({ name }) => name), arrays.map(({ values }) => values), arrays.map(({ shape }) => shape), JSON.stringify(metadata));
        return { kind: "file", id, file: copied(file) };
      }
      default:
        return unreachable(request);
    }
  }
}

/** Reads a picture file. */
export function open(bindings: Bindings, file: ArrayBuffer, size: number, crop: Crop | null): Opened {
  const made = bindings.openPicture(new Uint8Array(file), size, crop ? Uint32Array.of(crop.x, crop.y, crop.side) : undefined);
  const { overviewWidth, overviewHeight, width, height, notices } = made;
  const opened: Opened = {
    square: { rgba: new Uint8ClampedArray(made.square), width: made.size, height: made.size },
    overview: { rgba: new Uint8ClampedArray(made.overview), width: overviewWidth, height: overviewHeight },
    width,
    height,
    notices,
  };
  made.free();
  return opened;
}

function bytes({ rgba }: Picture): Uint8Array {
  return new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.length);
}

/** Out of the engine's memory, so that it can be handed over. */
function copied(file: Uint8Array): ArrayBuffer {
  return file.slice().buffer;
}
