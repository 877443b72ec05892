/** The tables of words against each other, and against what the worker says in English. */

import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { type AdapterFacts, decide, type Facts } from "../../src/diagnosis.ts";
import { MaetokError } from "../../src/errors.ts";
import { bytes, duration, number, timeLeft } from "../../src/format.ts";
import * as de from "../../src/words/de/index.ts";
import * as en from "../../src/words/en/index.ts";
import { use } from "../../src/words/index.ts";
import { rendered } from "../../src/words/text.ts";
import { PageError, told } from "../../src/words/told.ts";

/** Said the same way in both: names that the model or the worker brings, which the tables only pass on. */
const SAME = ["compare.samplers.euler", "compare.samplers.heun", "compare.samplers.sde", "generate.group", "generate.label", "machine.found", "reconstruct.notice"];

/** Every text of a table by its path; a function is asked with the same values everywhere. */
function texts(table: object, path = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of Object.entries(table)) {
    const at = path ? `${path}.${key}` : key;
    if (typeof value === "string") found.set(at, value);
    else if (typeof value === "function") found.set(at, String((value as (...values: unknown[]) => string)(...examples(at))));
    else for (const entry of texts(value as object, at)) found.set(...entry);
  }
  return found;
}

function examples(path: string): unknown[] {
  if (path === "reconstruct.lead") return ["7", ["Avatars", "Emoji"]];
  return path === "shell.strip.gaps" || path === "shell.linkPartly" ? ["7", 2] : ["7", "9"];
}

describe("the languages", () => {
  const english = texts(en);
  const german = texts(de);

  it("have the same words to say", () => expect([...german.keys()].sort()).toEqual([...english.keys()].sort()));

  it("leave nothing unsaid", () => {
    for (const [path, text] of [...english, ...german]) expect(text.trim(), path).not.toBe("");
  });

  it("do not say it in English", () => {
    const alike = [...english].filter(([path, text]) => german.get(path) === text).map(([path]) => path);
    expect(alike.sort()).toEqual([...SAME].sort());
  });

  it("use the quotation marks and the decimal mark of their own", () => {
    for (const [path, text] of german) expect(text, path).not.toMatch(/“[^„]*”|"|\d\.\d/);
    for (const [path, text] of english) expect(text, path).not.toMatch(/„|\d,\d/);
  });

  it("name what `index.html` says as it does", () => {
    const html = readFileSync(new URL("../../index.html", import.meta.url), "utf8");
    const { page } = en.shell;
    const said = [...html.matchAll(/data-words="(\w+)"[^>]*>([^<]*)</g)].map(([, key, text]) => [key, text]);
    expect(said.map(([key]) => key).sort()).toEqual(["footer1", "footer2", "footer3", "language", "tagline", "tour"]);
    for (const [key, text] of said) expect(text).toBe(page[key as keyof typeof page]);
    for (const [, text, key] of html.matchAll(/title="([^"]*)" data-title="(\w+)"/g)) expect(text).toBe(page[key as keyof typeof page]);
    expect(html).toContain(`<title>${page.title}</title>`);
    expect(html).toContain(`content="${page.description}"`);
  });
});

describe("in German", () => {
  afterEach(() => use("en", en));

  it("numbers have a comma, times and sizes their units", () => {
    use("de", de);
    expect([number(2.5, 1), bytes(5_171_378), duration(1940), timeLeft(5, 10, 5000)]).toEqual(["2,5", "5,2 MB", "1,9 s", "noch etwa 5,0 s"]);
  });

  it("an error of the engine says what kind it is, then what the engine says; one of the page says itself", () => {
    const error = new MaetokError("download", "The server refused the engine (HTTP 404).", "Try again later.");
    expect(told(error)).toEqual({ message: error.message, advice: error.advice });
    use("de", de);
    expect(told(error)).toEqual({ message: "Etwas konnte nicht geladen werden. (The server refused the engine (HTTP 404).)", advice: "Verbindung prüfen und erneut versuchen." });
    expect(told(new MaetokError("new-kind", "Odd."))).toEqual({ message: "Etwas ist fehlgeschlagen. (Odd.)", advice: "" });
    expect(told(new PageError("setting", "Schon deutsch.", "Ändern."))).toMatchObject({ message: "Schon deutsch.", advice: "Ändern." });
    expect(told(new MaetokError("constructor", "Odd.")).message).toBe("Etwas ist fehlgeschlagen. (Odd.)");
  });

  it("the whole of a sentence has to fit", () => {
    expect(rendered("no", [[/no/, "nein"]])).toBe("nein");
    expect(rendered("no more", [[/no/, "nein"]])).toBeUndefined();
  });

  const adapter: AdapterFacts = {
    vendor: "x",
    architecture: "",
    device: "",
    description: "",
    fallback: false,
    features: ["timestamp-query"],
    limits: { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27, maxStorageBuffersPerShaderStage: 8, maxComputeWorkgroupStorageSize: 16384, maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupsPerDimension: 65535 },
  };
  const good: Facts = { secureContext: true, webgpu: true, adapter, adapterError: null, simd: true };
  const cases: [string, Facts][] = [
    ["all well", good],
    ["a software adapter", { ...good, adapter: { ...adapter, fallback: true, description: "SwiftShader" } }],
    ["a software adapter without a name", { ...good, adapter: { ...adapter, vendor: "", fallback: true } }],
    ["an adapter without a name", { ...good, adapter: { ...adapter, vendor: "" } }],
    ["no SIMD", { ...good, simd: false }],
    ["no secure page", { ...good, secureContext: false }],
    ["no WebGPU", { ...good, webgpu: false, adapter: null }],
    ["an adapter that fails", { ...good, adapter: null, adapterError: "Error: no" }],
    ["no adapter", { ...good, adapter: null }],
    ["no timestamps", { ...good, adapter: { ...adapter, features: [] } }],
    ["small buffers", { ...good, adapter: { ...adapter, limits: { ...adapter.limits, maxBufferSize: 5 } } }],
  ];

  it.each(cases)("the diagnosis has its words: %s", (_, facts) => {
    for (const wanted of ["auto", "webgpu", "cpu"] as const) {
      const { badge, reason, advice, checks } = decide(facts, wanted);
      for (const text of [badge, reason, advice, ...checks.flatMap(({ name, value }) => [name, value])]) {
        // Names and error messages of the browser's stay as they are.
        if (text === "" || text === "x" || text === "Error: no") continue;
        const german = de.machine.found(text);
        if (/^(CPU|WebGPU( \(navigator\.gpu\))?|WebAssembly SIMD|max\w+)$/.test(text)) expect(german).toBe(text);
        else if (text === "SwiftShader (software)") expect(german).toBe("SwiftShader (Software)");
        else expect(german, text).not.toBe(text);
        expect(german).not.toMatch(/\b(the|this|is|and|needed|runs)\b/i);
      }
    }
  });
});
