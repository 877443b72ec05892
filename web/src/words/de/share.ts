/** Links, files and what is in them. */

import type { Words } from "../index.ts";

export const share: Words["share"] = {
  title: "Teilen und behalten",
  intro: "Alles hier gehört zu dem Lauf, der zu sehen ist. Ein PNG, das hier gespeichert wurde, trägt seine Einstellungen in sich: auf diese Seite gezogen, bringt es sie zurück.",
  link: "Link zu diesem Bild",
  copyLink: "Link kopieren",
  command: "Dasselbe auf der Kommandozeile",
  copyCommand: "Befehl kopieren",
  film: "Der Lauf als Film",
  gif: "GIF speichern",
  gifTitle: "Alle Schritte als animiertes GIF",
  gathering: "Die Bilder werden gesammelt…",
  making: (done, of) => `GIF: Bild ${done} von ${of}`,
  numbers: "Die Zahlen, für NumPy und PyTorch",
  latents: "Latent als .npy",
  latentsTitle: "Wo der Lauf endete, als Feld aus Token und Kanälen",
  run: "Alle Schritte als .npy",
  runTitle: "Der Zustand nach jedem Schritt, als Feld aus Schritten, Token und Kanälen",
  tensors: "Alle Schritte als .safetensors",
  tensorsTitle: "Zustände, Schätzungen und Zeiten aller Schritte mit den Einstellungen",
  numbersHint: "In den Einheiten des Tokenizers; bei mehreren Bildern ist das Bild eine Dimension nach dem Schritt.",
  restoredHere: (file) => `Die Einstellungen aus „${file}“ sind übernommen.`,
  restored: (file) => `Die Einstellungen aus „${file}“ sind gesetzt. „Bild erzeugen“ zeigt das Bild wieder.`,
  spoilt: (file) => `Die Einstellungen in „${file}“ sind nicht lesbar.`,
  spoiltAdvice: "Die Datei wurde als gewöhnliches Bild genommen.",
  partly: (file, names) => `Ein Teil der Einstellungen in „${file}“ ist nicht brauchbar und wurde ausgelassen: ${names}.`,
  partlyAdvice: "Dafür gelten die üblichen Werte.",
  otherModel: (file, model) => `„${file}“ entstand mit einem anderen Modell (${model}).`,
  otherModelAdvice: "Die Einstellungen sind trotzdem gesetzt, das Bild wird aber ein anderes.",
};
