/** Makes a GIF out of pictures that come one by one: in a worker, since choosing 256 colours takes longer than a hand waits. */

import { applyPalette, GIFEncoder, quantize } from "gifenc";
import { upscale } from "../upscale.ts";
import type { GifAnswer, GifFrame } from "./gif.ts";

const scope = globalThis as unknown as { onmessage: ((event: MessageEvent<GifFrame>) => void) | null; postMessage(answer: GifAnswer, transfer?: Transferable[]): void };

const gif = GIFEncoder();

scope.onmessage = ({ data: { picture, factor, delay, last } }) => {
  const { rgba, width, height } = factor > 1 ? upscale(picture, factor) : picture;
  // Colours are counted in 4096 bins: with finer ones noise takes seconds, and the palette is hardly better.
  const palette = quantize(rgba, 256, { format: "rgb444" });
  gif.writeFrame(applyPalette(rgba, palette), width, height, { palette, delay, repeat: 0 });
  if (!last) return scope.postMessage({ kind: "next" });
  gif.finish();
  const file = gif.bytes().slice().buffer;
  scope.postMessage({ kind: "file", file }, [file]);
};
