/** What computes here. */

import type { Words } from "../index.ts";
import { rendered } from "../text.ts";

/** The sentences of `diagnosis.ts` and `session.ts`; a test looks whether one is missing. The first pattern that fits counts. */
const SENTENCES = [
  [/cannot run here/, "läuft hier nicht"],
  [/CPU|WebGPU|WebAssembly SIMD|WebGPU \(navigator\.gpu\)|max[A-Z]\w+|\d+( [KM]iB)? \(needed: .*\)/, "$&"],
  [/WebGPU, software/, "WebGPU, Software"],
  [/This browser lacks WebAssembly SIMD, which the engine is built with\./, "Diesem Browser fehlt WebAssembly SIMD, wofür der Rechenkern gebaut ist."],
  [/Update the browser: (.*) and anything newer have it\./, "Den Browser aktualisieren: $1 und alle neueren haben es."],
  [/Runs on the processor \(WebAssembly SIMD\), as you chose\./, "Läuft wie gewählt auf dem Prozessor (WebAssembly SIMD)."],
  [/Runs on the processor \(WebAssembly SIMD\): no graphics adapter was offered\./, "Läuft auf dem Prozessor (WebAssembly SIMD): Es wird kein Grafikadapter angeboten."],
  [/Runs on the graphics processor \(WebGPU(.*)\)\./, "Läuft auf dem Grafikprozessor (WebGPU$1)."],
  [/Runs on WebGPU, as you chose, though its adapter(.*) is software\./, "Läuft wie gewählt auf WebGPU, obwohl dessen Adapter$1 Software ist."],
  [/Choose the CPU engine for speed: it is (\d+) to (\d+) times faster than a software adapter\./, "Auf dem Prozessor geht es schneller: Er ist $1- bis $2‑mal so schnell wie ein Adapter in Software."],
  [/Runs on the processor \(WebAssembly SIMD\): the WebGPU adapter here(.*) is software and (\d+) to (\d+) times slower\./, "Läuft auf dem Prozessor (WebAssembly SIMD): Der WebGPU-Adapter hier$1 ist Software und $2- bis $3‑mal langsamer."],
  [/Runs on the processor \(WebAssembly SIMD\): WebGPU is offered only to pages on https or on this machine's own address\./, "Läuft auf dem Prozessor (WebAssembly SIMD): WebGPU gibt es nur für Seiten über https oder von der Adresse dieses Geräts."],
  [/Open the page through https or (.*) to use the graphics processor\./, "Für den Grafikprozessor die Seite über https oder $1 öffnen."],
  [/Runs on the processor \(WebAssembly SIMD\): this browser offers no WebGPU \(navigator\.gpu is missing\)\./, "Läuft auf dem Prozessor (WebAssembly SIMD): Dieser Browser bietet kein WebGPU (navigator.gpu fehlt)."],
  [/Nothing needs doing; for more speed use a browser with WebGPU \((.*) or newer\)\./, "Es ist nichts zu tun; schneller geht es mit einem Browser, der WebGPU hat ($1 oder neuer)."],
  [/Runs on the processor \(WebAssembly SIMD\): asking for a graphics adapter failed \((.*)\)\./, "Läuft auf dem Prozessor (WebAssembly SIMD): Die Frage nach einem Grafikadapter schlug fehl ($1)."],
  [/Runs on the processor \(WebAssembly SIMD\): WebGPU is there but offers no graphics adapter\./, "Läuft auf dem Prozessor (WebAssembly SIMD): WebGPU ist da, bietet aber keinen Grafikadapter."],
  [/Updating the graphics driver may help\./, "Ein neuerer Grafiktreiber kann helfen."],
  [/Switching on hardware acceleration in the browser's settings or updating the graphics driver may help\./, "Es kann helfen, in den Einstellungen des Browsers die Hardwarebeschleunigung einzuschalten oder den Grafiktreiber zu erneuern."],
  [/Runs on the processor \(WebAssembly SIMD\): the graphics adapter lacks the feature (.*)\./, "Läuft auf dem Prozessor (WebAssembly SIMD): Dem Grafikadapter fehlt die Eigenschaft $1."],
  [/Updating the browser or the graphics driver may help\./, "Ein neuerer Browser oder Grafiktreiber kann helfen."],
  [/Runs on the processor \(WebAssembly SIMD\): the graphics adapter's (\w+) is (\d+) and the engine needs (\d+)\./, "Läuft auf dem Prozessor (WebAssembly SIMD): $1 des Grafikadapters ist $2, nötig sind $3."],
  [/Runs on the processor \(WebAssembly SIMD\): WebGPU did not start \((.*)\)\./, "Läuft auf dem Prozessor (WebAssembly SIMD): WebGPU ist nicht angesprungen ($1)."],
  [/Secure page \(https or this machine\)/, "Sichere Seite (https oder dieses Gerät)"],
  [/Graphics adapter/, "Grafikadapter"],
  [/Feature (.*)/, "Eigenschaft $1"],
  [/Self-test of the kernels/, "Selbsttest der Grafikprogramme (Kernels)"],
  [/will be repeated with the next picture/, "wird mit dem nächsten Bild wiederholt"],
  [/all gave the right numbers \(remembered\)/, "alle lieferten die richtigen Zahlen (von früher bekannt)"],
  [/all gave the right numbers \(tested now\)/, "alle lieferten die richtigen Zahlen (jetzt geprüft)"],
  [/left out, slower operations take their place: (.*) \(remembered\)/, "ausgelassen und durch langsamere Rechenschritte ersetzt: $1 (von früher bekannt)"],
  [/left out, slower operations take their place: (.*) \(tested now\)/, "ausgelassen und durch langsamere Rechenschritte ersetzt: $1 (jetzt geprüft)"],
  [/yes/, "ja"],
  [/no/, "nein"],
  [/none/, "keiner"],
  [/unnamed/, "ohne Namen"],
  [/unnamed \(software\)/, "ohne Namen (Software)"],
  [/(.*) \(software\)/, "$1 (Software)"],
] as const;

export const machine: Words["machine"] = {
  label: "Womit hier gerechnet wird",
  looking: "Es wird nachgesehen, was dieser Browser kann…",
  unknown: "Es ist nicht bekannt, was dieser Browser kann.",
  details: "Einzelheiten und Wahl",
  engine: "Rechenkern",
  choices: {
    auto: "Selbsttätig gewählt",
    webgpu: "Grafikprozessor (WebGPU)",
    cpu: "Prozessor (WebAssembly)",
  },
  retest: "Grafikprogramme neu prüfen",
  findings: "Was gefunden wurde",
  found: (words) => rendered(words, SENTENCES)?.replaceAll("(needed: ", "(nötig: ") ?? words,
};
