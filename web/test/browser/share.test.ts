/** A run taken along: as a link, a command line, a PNG with its settings, a GIF, and as numbers; in Chromium and Firefox. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { decode, pattern, withText, worstDifference } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const CLI = process.env.MAETOK_CLI ?? fileURLToPath(new URL("../../../target/release/maetok", import.meta.url));
/** One seed on two devices or in two browsers, of 255. */
const TOLERANCE = 2;

/** Everything a link can hold of a run, none of it the usual. */
const LINK = "#panel=generate&generate.class=big-smile&generate.seed=77&generate.steps=7&generate.guidance=3.5&generate.low=0.125&generate.high=0.9&generate.sampler=heun";

describe.each<BrowserName>(["chromium", "firefox"])("sharing in %s", (name) => {
  const folder = temporaryFolder();
  let browser: Browser;
  let server: TestServer;
  let studio: Studio | undefined;

  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launch(name, folder);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(async () => {
    const { complaints, foreign } = studio ?? { complaints: [], foreign: [] };
    await studio?.close();
    studio = undefined;
    server.reset();
    expect(complaints).toEqual([]);
    expect(foreign).toEqual([]);
  });
  const open = async (options?: OpenOptions) => (studio = await Studio.open(browser, server.origin, folder, options));
  const value = (selector: string) => studio!.page.$eval(selector, (input) => (input as HTMLInputElement).value);
  const form = async () => Promise.all(["input[name=class]:checked", "#seed", "#steps", "#guidance", "#sampler", "#count"].map(value));
  const again = async () => {
    await studio!.press("Generate");
    return studio!.finished();
  };
  const picture = async () => decode((await studio!.saved("Save as PNG")).file);

  it("a link gives the same picture in the other browser", async () => {
    await open({ query: `?lang=en${LINK}` });
    await again();
    const here = await picture();
    // The link is of the picture that is shown, not of what was set since.
    await studio!.fill("#seed", "1");
    const link = await value("#share-link");
    expect(link).toBe(`${server.origin}/${LINK}`);
    const other = await launch(name === "chromium" ? "firefox" : "chromium", folder);
    try {
      const there = await Studio.open(other, server.origin, folder, { query: new URL(link).hash });
      await there.press("Generate");
      expect(await there.finished()).toMatch(/^Done/);
      const difference = worstDifference(here, decode((await there.saved("Save as PNG")).file));
      console.log(`${name}'s picture from its link in the other browser: worst difference ${difference} of 255`);
      expect(difference).toBeLessThanOrEqual(TOLERANCE);
      expect(there.complaints).toEqual([]);
    } finally {
      await other.close();
    }
  });

  it("copies, and says so; where copying is refused the text is selected", async () => {
    const { page } = await open();
    await page.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", { configurable: true, value: { writeText: (text: string) => ((document.body.dataset.copied = text), Promise.resolve()) } });
    });
    await studio!.press("Copy link");
    await studio!.button("Copied");
    expect(await page.evaluate(() => document.body.dataset.copied)).toBe(await value("#share-link"));
    expect(await studio!.text("[role=status].visually-hidden")).toBe("Copied");
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await studio!.press("Copy command");
    await studio!.reads("#share-command ~ *, .copy .told:not(:empty)", /./);
    expectSentence(await page.$$eval(".told", (found) => found.map((told) => told.textContent ?? "").join("")));
    expect(await page.evaluate(() => document.getSelection()!.toString() || (document.activeElement as HTMLInputElement).value.slice(...[(document.activeElement as HTMLInputElement).selectionStart!, (document.activeElement as HTMLInputElement).selectionEnd!]))).toMatch(/^maetok sample/);
  });

  it("the command line gives the same picture, and the same sheet of a batch", async () => {
    if (!existsSync(CLI)) throw new Error(`${CLI} is not built: \`cargo build --release -p maetok-cli\`, or set MAETOK_CLI`);
    const bin = join(temporaryFolder(), "bin");
    mkdirSync(bin);
    symlinkSync(CLI, join(bin, "maetok"));
    /** As a person would run it, with the model and the device that the page has. */
    const run = async () => {
      const line = await value("#share-command");
      const at = temporaryFolder();
      execFileSync("/bin/sh", ["-c", `${line} --model "$MODEL" --device cpu`], { cwd: at, env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, MODEL }, stdio: ["ignore", "ignore", "inherit"] });
      const [, out] = / --out (\S+)$/.exec(line)!;
      return decode(readFileSync(join(at, out!)));
    };
    await open({ query: LINK });
    await again();
    expect(await value("#share-command")).toBe("maetok sample --class big-smile --seed 77 --steps 7 --guidance 3.5 --interval 0.125,0.9 --sampler heun --out big-smile-seed77.png");
    const one = worstDifference(await run(), await picture());
    await studio!.fill("#count", "3");
    await studio!.page.select("#sampler", "sde");
    await again();
    const sheet = worstDifference(await run(), await picture());
    console.log(`${name} against the command line it prints: worst difference ${one} of 255, of a sheet of three ${sheet}`);
    expect([one, sheet].every((difference) => difference <= TOLERANCE)).toBe(true);
  });

  it("a saved PNG dropped anywhere brings its settings back, and asks nothing", async () => {
    await open({ query: LINK });
    await again();
    const settings = await form();
    const shown = await picture();
    const { file } = await studio!.saved("Save as PNG");
    expect(JSON.parse(/iTXtmaetok\0{5}(\{.*?\}\})/.exec(file.toString("latin1"))![1]!)).toEqual({
      maetok: 1,
      model: "Toon, 128 pixels",
      generate: { class: "big-smile", seed: "77", steps: "7", guidance: "3.5", low: "0.125", high: "0.9", sampler: "heun", preview: "clean", count: "1" },
    });
    await studio!.close();
    await open({ panel: "reconstruct" });
    expect(await studio!.give("drop", "body", { name: "kept.png", file })).toEqual({ over: true, given: true });
    await studio!.reads(".facts", /^The settings of “kept\.png” are set\. Press Generate to see its picture again\.$/);
    expect(await studio!.shown()).toBe("generate");
    expect(await form()).toEqual(settings);
    expect(await studio!.alerts()).toEqual([]);
    expect(await studio!.text(".interval-value")).toBe("from t = 0.90 to t = 0.13");
    await again();
    expect(await picture()).toEqual(shown);
    // It can be taken back, as every change.
    await studio!.page.click("[aria-label^=Undo]");
    expect((await form())[1]).toBe("1");
  });

  it("a PNG with forged, huge or hostile settings is an ordinary picture, with one sentence at most", async () => {
    await open();
    const plain = pattern(80, 80);
    const good = { maetok: 1, model: "Toon, 128 pixels", generate: { class: "lorelei", seed: "7" } };
    const ordinary: [string, string | null][] = [
      ["no settings", null],
      ["no JSON", "<script>alert(1)</script>"],
      ["another JSON", '{"maetok":2,"generate":{}}'],
      ["a list", "[1,2,3]"],
      ["nothing to set", '{"maetok":1,"generate":"all"}'],
      ["a deep hole", "[".repeat(60_000)],
      ["a huge text", JSON.stringify({ ...good, more: "x".repeat(3_000_000) })],
    ];
    for (const [what, text] of ordinary) {
      await studio!.give("drop", "body", { name: "forged.png", file: text === null ? plain : withText(plain, text) });
      expect((await studio!.scores()).psnr, what).toBeGreaterThan(3);
      const alerts = await studio!.alerts();
      expect(alerts, what).toEqual(text === null ? [] : ["The settings inside “forged.png” cannot be read. It was taken as an ordinary picture."]);
      if (text !== null) await studio!.dismiss();
    }
    // Some of it good: that is used, and the rest is named.
    const partly = { ...good, model: "<b>x</b>", __proto__: { seed: "9" }, generate: { class: "lorelei", seed: "7", steps: "1e9", guidance: 3, sampler: "euler'; rm -rf /", constructor: "x" } };
    await studio!.give("drop", "body", { name: "partly.png", file: withText(plain, JSON.stringify(partly)) });
    await studio!.reads(".facts", /^The settings of “partly\.png” are set/);
    expect(await studio!.alerts()).toEqual(["A part of the settings inside “partly.png” cannot be used and was left out: generate.guidance, generate.steps, generate.sampler. For these the usual ones are set."]);
    expect(await form()).toEqual(["lorelei", "7", "25", "2", "euler", "1"]);
    await studio!.dismiss();
    await studio!.give("drop", "body", { name: "other.png", file: withText(plain, JSON.stringify({ ...good, model: "<b>x</b>", generate: { class: "dragon" } })) });
    await studio!.reads("maetok-studio > .alert", /“other\.png” was made with another model \(<b>x<\/b>\)/);
    expect(await studio!.page.$$(".alert b")).toEqual([]);
    expect(await studio!.text(".stage .alert p")).toBe("This model has no class “dragon”; its first one is chosen instead.");
  });

  it("a GIF has every step, and making it keeps no hand waiting", async () => {
    const { page } = await open({ query: "#generate.steps=20&generate.seed=6" });
    await again();
    await page.evaluate(() => {
      // Not every browser observes long tasks; a timer that comes late says the same.
      const late: number[] = ((globalThis as { late?: number[] }).late = []);
      let before = performance.now();
      setInterval(() => {
        const now = performance.now();
        late.push(now - before);
        before = now;
      }, 5);
    });
    const { name: file, file: bytes } = await studio!.saved("Save GIF");
    const late = await page.evaluate(() => Math.max(...(globalThis as { late?: number[] }).late!));
    console.log(`${name}: while a GIF was made a timer was at most ${late.toFixed(0)} ms late`);
    // On a busy machine a timer comes late by itself; made on the page, this GIF would take seconds.
    expect(late).toBeLessThan(1000);
    expect(file).toMatch(/-seed6-20steps-guidance2\.gif$/);
    const { width, height, delays } = readGif(bytes);
    expect([width, height, delays.length]).toEqual([256, 256, 21]);
    expect(delays.at(-1), "the finished picture is seen longest").toBe(Math.max(...delays));
  });

  it("latents and steps as .npy and .safetensors agree with each other and with the picture", async () => {
    await open({ query: "#generate.steps=3&generate.seed=8&generate.class=lorelei" });
    await again();
    const latent = readNpy((await studio!.saved("Latent (.npy)")).file);
    const run = readNpy((await studio!.saved("All steps (.npy)")).file);
    const { name: file, file: bytes } = await studio!.saved("All steps (.safetensors)");
    expect(file).toBe("lorelei-seed8-3steps-guidance2-run.safetensors");
    const tensors = readSafetensors(bytes);
    expect([latent.shape, run.shape]).toEqual([[16, 16], [3, 16, 16]]);
    expect(Object.fromEntries(Object.entries(tensors.arrays).map(([name, { shape }]) => [name, shape]))).toEqual({ clean: [3, 16, 16], state: [3, 16, 16], t: [3] });
    expect(tensors.arrays.state!.values).toEqual(run.values);
    expect(run.values.slice(-256)).toEqual(latent.values);
    expect([...tensors.arrays.t!.values].map((t) => t.toFixed(4))).toEqual(["1.0000", "0.6667", "0.3333"]);
    // The last guess is where the last step goes.
    const last = tensors.arrays.clean!.values.slice(-256);
    expect(Math.max(...last.map((guess, i) => Math.abs(guess - latent.values[i]!)))).toBeLessThan(1e-3);
    expect(JSON.parse(tensors.metadata.maetok!)).toMatchObject({ maetok: 1, generate: { class: "lorelei", seed: "8", steps: "3" } });
    await studio!.fill("#count", "2");
    await again();
    const both = readNpy((await studio!.saved("All steps (.npy)")).file);
    expect(both.shape).toEqual([3, 2, 16, 16]);
    expect(Math.max(...run.values.slice(0, 256).map((one, i) => Math.abs(one - both.values[i]!)))).toBeLessThan(1e-3);
  });
});

/** Size, and how long each picture is seen, in hundredths of a second. */
function readGif(bytes: Buffer): { width: number; height: number; delays: number[] } {
  expect(bytes.toString("latin1", 0, 6)).toBe("GIF89a");
  const [width, height] = [bytes.readUInt16LE(6), bytes.readUInt16LE(8)];
  const table = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  const blocks = (at: number) => {
    while (bytes[at] !== 0) at += bytes[at]! + 1;
    return at + 1;
  };
  const delays: number[] = [];
  let pictures = 0;
  for (let at = 13 + table(bytes[10]!); bytes[at] !== 0x3b; ) {
    if (bytes[at] === 0x21) {
      if (bytes[at + 1] === 0xf9) delays.push(bytes.readUInt16LE(at + 4));
      at = blocks(at + 2);
    } else {
      expect(bytes[at]).toBe(0x2c);
      pictures++;
      at = blocks(at + 11 + table(bytes[at + 9]!));
    }
  }
  expect(pictures).toBe(delays.length);
  return { width, height, delays };
}

function readNpy(bytes: Buffer): { shape: number[]; values: Float32Array } {
  expect(bytes.toString("latin1", 1, 6)).toBe("NUMPY");
  const end = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString("latin1", 10, end);
  expect(header).toMatch(/'descr': '<f4', 'fortran_order': False/);
  const shape = /\(([^)]*)\)/.exec(header)![1]!.split(",").map((part) => part.trim()).filter(Boolean).map(Number);
  return { shape, values: floats(bytes.subarray(end)) };
}

function readSafetensors(bytes: Buffer): { arrays: Record<string, { shape: number[]; values: Float32Array }>; metadata: Record<string, string> } {
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.toString("utf8", 8, start)) as Record<string, { shape: number[]; data_offsets: [number, number] }> & { __metadata__: unknown };
  const arrays = Object.fromEntries(Object.entries(entries).map(([name, { shape, data_offsets: [from, to] }]) => [name, { shape, values: floats(bytes.subarray(start + from, start + to)) }]));
  return { arrays, metadata: metadata as Record<string, string> };
}

function floats(bytes: Buffer): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer);
}
