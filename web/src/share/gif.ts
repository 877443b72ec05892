/** A run as an animated GIF, made in a worker of its own. */

import { cancelled } from "../errors.ts";
import type { Picture } from "../protocol.ts";
import { words } from "../words/index.ts";
import { PageError } from "../words/told.ts";

/** A picture on its way to the worker. */
export interface GifFrame {
  picture: Picture;
  /** Enlarged so many times. */
  factor: number;
  /** Seen so long, in milliseconds. */
  delay: number;
  last: boolean;
}

export type GifAnswer = { kind: "next" } | { kind: "file"; file: ArrayBuffer };

/** More pictures than this make a large file and show no more. */
export const MOST_FRAMES = 120;

/** Milliseconds: the whole run, a picture at least, and the last one. */
const RUN = 3000;
const SHORTEST = 40;
const LAST = 1800;

/** Small pictures are enlarged to about this side in pixels: not every program that shows GIF does it well. */
const SIDE = 256;

/** `onFrame` hears how many pictures are in it. */
export function gif(frames: readonly Picture[], signal: AbortSignal, onFrame: (done: number, of: number) => void): Promise<Blob> {
  const factor = Math.max(1, Math.floor(SIDE / frames[0]!.width));
  const delay = Math.max(RUN / frames.length, SHORTEST);
  const worker = new Worker(new URL("./gif.worker.ts", import.meta.url), { type: "module", name: "maetok-gif" });
  return new Promise<Blob>((resolve, reject) => {
    let sent = 0;
    const end = () => {
      worker.terminate();
      signal.removeEventListener("abort", stop);
    };
    const stop = () => (end(), reject(cancelled()));
    const send = () => {
      const { rgba, width, height } = frames[sent]!;
      const last = ++sent === frames.length;
      // A copy: pictures of a batch lie in one buffer, all of which would be sent.
      const picture = { rgba: rgba.slice(), width, height };
      worker.postMessage({ picture, factor, delay: last ? LAST : delay, last } satisfies GifFrame, [picture.rgba.buffer]);
    };
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop);
    worker.onerror = (event) => {
      event.preventDefault();
      end();
      reject(new PageError("gif", words().share.gifFailed, words().share.gifAdvice));
    };
    worker.onmessage = ({ data }: MessageEvent<GifAnswer>) => {
      onFrame(sent, frames.length);
      if (data.kind === "next") return send();
      end();
      resolve(new Blob([data.file], { type: "image/gif" }));
    };
    send();
  });
}

/** At most `most` of them, evenly chosen, the first and the last among them. */
export function thin<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]!);
}
