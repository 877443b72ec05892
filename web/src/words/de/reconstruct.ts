/** A picture of one's own through the tokenizer. */

import type { Words } from "../index.ts";
import { join, rendered } from "../text.ts";

const NOTICES = [
  [/rotated as its EXIF data ask/, "gedreht, wie es seine EXIF-Daten verlangen"],
  [/animated: first frame used/, "bewegt: Das erste Bild wurde genommen"],
  [/CMYK: converted to RGB/, "CMYK: in RGB umgewandelt"],
  [/transparent: laid on white/, "durchsichtig: auf Weiß gelegt"],
] as const;

export const reconstruct: Words["reconstruct"] = {
  tab: "Rekonstruieren",
  title: "Sehen, was von einem eigenen Bild bleibt",
  lead: (side, groups) =>
    `Der Tokenizer presst ein Bild von ${side} × ${side} Pixeln in eine kurze Liste von Zahlen (das Latent) und malt es allein daraus neu.${
      groups.length > 0 ? ` Gesehen hat er nur ${join(groups, "und")}: Von anderen Bildern bleibt weniger.` : ""
    }`,
  choose: "Bild wählen",
  orDrop: "oder eines hier ablegen oder einfügen. PNG, JPEG, WebP oder GIF. Es bleibt auf diesem Gerät.",
  original: "Original, wie das Modell es sieht",
  originalCropped: "Original, mittig zugeschnitten",
  reconstruction: "Rekonstruktion",
  fromLatent: "Rekonstruktion aus dem Latent",
  saveReconstruction: "Rekonstruktion als PNG speichern",
  saveOriginal: "Original als PNG speichern",
  reading: "Das Bild wird gelesen…",
  psnr: "Nähe der Pixel (PSNR)",
  psnrMeaning: "höher ist näher; ab 30 dB ist ein Unterschied kaum zu sehen",
  ssim: "Ähnlichkeit der Struktur (SSIM)",
  ssimMeaning: "1 ist dasselbe Bild",
  size: "Größe des Latents",
  numbers: (count) => `${count} Zahlen`,
  sizeMeaning: (values, time) => `für ${values} Farbwerte; fertig nach ${time}`,
  said: (psnr, ssim) => `Rekonstruiert: PSNR ${psnr}, SSIM ${ssim}.`,
  notice: (words) => rendered(words, NOTICES) ?? words,
  busy: (name) => `„${name}“ wurde nicht angenommen: Das Bild davor ist noch in Arbeit.`,
  busyAdvice: "Darauf warten oder es anhalten, dann dieses noch einmal geben.",
  tooLarge: (mebibytes, most) => `Die Datei hat ${mebibytes} MiB, gelesen werden höchstens ${most}.`,
  tooLargeAdvice: "Ein kleineres Bild wählen.",
  unreadable: (name) => `Die Datei „${name}“ lässt sich nicht lesen.`,
  unreadableAdvice: "Eine Datei wählen, keinen Ordner.",
  fileName: "bild",
};
