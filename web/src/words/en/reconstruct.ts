/** A picture of one's own through the tokenizer. */

import { join } from "../text.ts";

export const reconstruct = {
  tab: "Reconstruct",
  title: "See what survives of your own picture",
  /** `groups`: what the model has seen, if it says so. */
  lead: (side: string, groups: readonly string[]) =>
    `The tokenizer squeezes a picture of ${side} × ${side} pixels into a short list of numbers (the latent) and paints it anew from these alone.${
      groups.length > 0 ? ` It has seen only ${join(groups, "and").toLowerCase()}: other pictures survive less well.` : ""
    }`,
  choose: "Choose a picture",
  orDrop: "or drop one here, or paste one. PNG, JPEG, WebP or GIF. It stays on this device.",
  original: "Original, as the model sees it",
  originalCropped: "Original, centre-cropped",
  reconstruction: "Reconstruction",
  fromLatent: "Reconstruction from the latent",
  saveReconstruction: "Save reconstruction as PNG",
  saveOriginal: "Save original as PNG",
  reading: "Reading the picture…",
  psnr: "Pixel closeness (PSNR)",
  psnrMeaning: "higher is closer; from 30 dB on it is hard to see a difference",
  ssim: "Likeness of structure (SSIM)",
  ssimMeaning: "1 is the same picture",
  size: "Size of the latent",
  numbers: (count: string) => `${count} numbers`,
  sizeMeaning: (values: string, time: string) => `for ${values} colour values; done in ${time}`,
  said: (psnr: string, ssim: string) => `Reconstructed: PSNR ${psnr}, SSIM ${ssim}.`,
  /** What the engine did to the picture before it looked at it, in its own words. */
  notice: (words: string) => words,
  busy: (name: string) => `“${name}” was not taken: the picture before it is still being worked on.`,
  busyAdvice: "Wait for it or stop it, then give this one again.",
  tooLarge: (mebibytes: string, most: string) => `The file has ${mebibytes} MiB and at most ${most} are read.`,
  tooLargeAdvice: "Choose a smaller picture.",
  unreadable: (name: string) => `The file “${name}” cannot be read.`,
  unreadableAdvice: "Choose a file, not a folder.",
  /** The first part of a saved file's name where the picture had none. */
  fileName: "picture",
};
