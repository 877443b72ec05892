/** What people and networks do wrong: one sentence each, and the page works afterwards. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { pattern } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, Studio, temporaryFolder } from "./studio.ts";

describe.each<BrowserName>(["chromium", "firefox"])("bad input in %s", (name) => {
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
    const complaints = studio?.complaints ?? [];
    await studio?.close();
    studio = undefined;
    server.reset();
    expect(complaints).toEqual([]);
  });
  const file = (name: string, bytes: Buffer | string) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };

  it("pictures that are none, too small, too large or broken", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    const good = pattern(80, 80);
    await studio.upload(file("good.png", good));
    expect((await studio.scores()).psnr).toBeGreaterThan(3);
    const result = async () => [await studio!.text(".scores"), await studio!.look(".result .picture")];
    const before = await result();
    const bad: [string, string][] = [
      [file("text.png", "this is not a picture"), "This file is not a picture that can be read (PNG, JPEG, WebP and GIF can be read). Choose another file."],
      [file("empty.png", ""), "The file is empty. Save or download it again, or choose another."],
      [file("drawing.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>"), "This is a picture of the kind SVG, but only PNG, JPEG, WebP and GIF can be read. Save it as one of these, or choose another."],
      [file("dot.png", pattern(1, 1)), "The picture is 1×1 pixels; both sides must have at least 8. Choose a larger one."],
      [file("wide.png", pattern(20_000, 8)), "The picture is 20000×8 pixels; neither side may have more than 16384. Make it smaller, or choose another."],
      [file("cut.png", good.subarray(0, good.length >> 1)), "The PNG picture is cut short. Save or download it again, or choose another."],
    ];
    for (const [path, words] of bad) {
      await studio.upload(path);
      const sentence = await studio.nextAlert();
      expectSentence(sentence);
      expect(sentence).toBe(words);
      await expect(studio.scores(), "scores are never those of the picture before").rejects.toThrow(words);
      expect(await result(), "the picture before stays").toEqual(before);
      await studio.dismiss();
    }
    await studio.upload(file("other.png", pattern(70, 90)));
    await studio.scores();
    expect(await result()).not.toEqual(before);
  });

  it("a second picture while the first is under way, and what is no file", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    server.faults.set("tokenizer/model.safetensors", "slow");
    await studio.upload(file("first.png", pattern(80, 80)));
    await studio.reads(".reconstruct .words", /Downloading: /);
    await studio.give("drop", "body", { name: "second.png", file: pattern(60, 60) });
    const sentence = await studio.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(/^“second\.png” was not taken: the picture before it is still being worked on\./);
    // With the first ended there is nothing left to wait for, nor to say so.
    await studio.press("Stop");
    await studio.until(() => !document.querySelector(".card.running"));
    expect(await studio.text(".card > .alert")).toBe("");
    server.reset();
    expect(await studio.give("drop", ".stage", { link: "https://example.org/picture" })).toEqual({ over: true, given: true });
    expect(await studio.nextAlert()).toMatch(/^What was dropped is not a file\. Save the picture first/);
    // Words may still be dragged into a field.
    expect(await studio.give("drop", "#seed", { link: "12" })).toEqual({ over: false, given: false });
    await studio.give("drop", "body", { name: "second.png", file: pattern(60, 60) });
    expect((await studio.scores()).psnr).toBeGreaterThan(3);
  });

  it("an engine that is refused, or is something else: the picture before stays", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    const { page } = studio;
    await studio.generate({ steps: 3 });
    const stage = async () => [await studio!.look(), await studio!.text(".caption"), await studio!.text(".facts"), (await page.$$(".film canvas")).length, await page.$eval("#scrubber", (slider) => (slider as HTMLInputElement).max)];
    const before = await stage();
    // A new worker has to fetch it again.
    await page.$eval(".machine details", (details) => ((details as HTMLDetailsElement).open = true));
    await page.select("#device", "cpu");
    await studio.reads(".reason", /as you chose/);
    const answers = [
      // First, since a worker keeps the script once it has it.
      { path: /\/maetok_web-[^/]*\.js$/, status: 404, type: "text/javascript", body: "no", words: "The download of the engine failed: a part of its script did not arrive. Check the connection and try again." },
      { path: /\.wasm$/, status: 404, type: "text/plain", body: "no", words: "The server refused the engine (HTTP 404). Try again later." },
      { path: /\.wasm$/, status: 200, type: "text/html", body: "<h1>Sign in</h1>", words: "The server sent something else in place of the engine. Try again later." },
    ];
    await studio.fill("#seed", "2");
    for (const [i, { words, ...answer }] of answers.entries()) {
      server.instead.splice(0, 1, answer);
      await studio.press(i === 0 ? "Generate" : "Try again");
      const sentence = await studio.nextAlert();
      expectSentence(sentence);
      expect(sentence).toBe(words);
      expect(await stage()).toEqual(before);
    }
    server.reset();
    await studio.press("Try again");
    expect(await studio.finished()).toMatch(/^Done/);
    expect(await studio.look()).not.toBe(before[0]);
  });

  it("a worker whose script is refused", async () => {
    server.instead.push({ path: /\/worker-[^/]*\.js$/, status: 404, type: "text/javascript", body: "no" });
    studio = await Studio.open(browser, server.origin, folder, { bare: true });
    const sentence = await studio.nextAlert();
    expectSentence(sentence);
    expect(sentence).toBe("There is no model to show: the script of the engine's worker could not be loaded. Check the connection and try again.");
    server.reset();
    await studio.press("Try again");
    await studio.ready();
    expect(await studio.generate({ steps: 1 })).toMatch(/^Done/);
  });

  it("settings that cannot be", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    const bad: [string, string, RegExp][] = [
      ["#steps", "0", /Steps is 0/],
      ["#steps", "1000000000", /Steps is 1000000000/],
      ["#steps", "", /Steps is empty/],
      ["#seed", "-3", /seed is “-3”/],
      ["#seed", "18446744073709551616", /seed is “18446744073709551616”/],
      ["#seed", "abc", /seed is “abc”/],
    ];
    for (const [field, value, words] of bad) {
      const before = await studio.page.$eval(field, (element) => (element as HTMLInputElement).value);
      await studio.fill(field, value);
      await studio.press("Generate");
      const sentence = await studio.nextAlert();
      expectSentence(sentence);
      expect(sentence).toMatch(words);
      await studio.dismiss();
      await studio.fill(field, before);
    }
    expect(await studio.generate({ steps: 1, seed: "18446744073709551615" })).toMatch(/^Done/);
  });

  it.each([
    ["flipped byte", /SHA-256/],
    ["cut off", /broke off after \d+ of \d+ bytes/],
    ["refused", /refused sit\/model\.safetensors \(HTTP 403\)/],
    ["missing", /HTTP 404/],
  ] as const)("weights: %s", async (fault, words) => {
    studio = await Studio.open(browser, server.origin, folder);
    server.faults.set("sit/model.safetensors", fault);
    await studio.press("Generate");
    const sentence = await studio.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(words);
    // Nothing bad is kept: with the fault gone the same button works.
    server.reset();
    await studio.fill("#steps", "1");
    await studio.press("Try again");
    expect(await studio.finished()).toMatch(/^Done/);
  });

  it("a cache entry that was damaged on disk is fetched anew", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    await studio.generate({ steps: 1 });
    const spoilt = await studio.page.evaluate(async () => {
      const cache = await caches.open("maetok-weights-1");
      const keys = await cache.keys();
      for (const key of keys) await cache.put(key, new Response(new Uint8Array(10)));
      return keys.length;
    });
    expect(spoilt).toBe(4);
    server.requests.length = 0;
    await studio.page.reload();
    await studio.ready();
    expect(await studio.generate({ steps: 1 })).toMatch(/^Done/);
    expect(server.requests.filter((path) => path.endsWith(".safetensors"))).toHaveLength(2);
  });

  it.each<[string, (json: string) => string | null, RegExp]>([
    ["missing", () => null, /no model to show.*HTTP 404/],
    ["no JSON", () => "<html>", /not JSON/],
    ["pointing outside its folder", (json) => json.replaceAll("sit/model.safetensors", "../../secret"), /outside its folder/],
    ["of a later format", (json) => json.replace(/"format":\s*1/, '"format":2'), /format/],
  ])("a manifest %s", async (_, spoil, words) => {
    const spoilt = spoil(readFileSync(join(MODEL, "manifest.json"), "utf8"));
    if (spoilt === null) server.faults.set("manifest.json", "missing");
    else server.replaced.set("manifest.json", spoilt);
    studio = await Studio.open(browser, server.origin, folder, { bare: true });
    const sentence = await studio.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(words);
    // A picture given meanwhile is not lost without a word, nor does the browser leave the page for it.
    expect(await studio.give("drop", "body", { name: "mine.png", file: pattern(8, 8) })).toEqual({ over: true, given: true });
    expect(await studio.nextAlert()).toMatch(/^The picture cannot be taken without a model: /);
    server.reset();
    await studio.press("Try again");
    await studio.ready();
    expect(await studio.generate({ steps: 1 })).toMatch(/^Done/);
  });

  it.each([
    ["no WebGPU", "Object.defineProperty(WorkerNavigator.prototype, 'gpu', { get: () => undefined });", /navigator\.gpu is missing/],
    ["no adapter", "GPU.prototype.requestAdapter = async () => null;", /no graphics adapter/],
    // Burn would panic on this one.
    ["no timestamp queries", "Object.defineProperty(GPUAdapter.prototype, 'features', { get: () => new Set() });", /timestamp-query/],
  ])("a browser with %s says so and computes on the CPU", async (_, prelude, words) => {
    server.workerPrelude = prelude;
    studio = await Studio.open(browser, server.origin, folder, { query: "?device=webgpu" });
    const [sentence] = await studio.alerts();
    expectSentence(sentence!);
    expect(sentence).toMatch(words);
    expect(await studio.text(".badge")).toBe("CPU");
    expect(await studio.generate({ steps: 1 })).toMatch(/^Done/);
  });

  it("a graphics processor that reports an error in the middle of a run ends it in words", async () => {
    // With the first step something is asked for that no device has. Not sooner: the self-test hears for itself.
    server.workerPrelude = `
      let device;
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        return (device = await request.call(this, descriptor));
      };
      const post = globalThis.postMessage;
      globalThis.postMessage = function (message, transfer) {
        if (message.kind === "step") device.createBuffer({ size: 4, usage: 0 });
        return post.call(this, message, transfer);
      };`;
    studio = await Studio.open(browser, server.origin, folder, { query: "?device=webgpu" });
    await studio.press("Generate");
    const sentence = await studio.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(/graphics processor reported/);
    studio.complaints.length = 0;
    server.reset();
    await studio.page.$eval(".machine details", (details) => ((details as HTMLDetailsElement).open = true));
    await studio.page.select("#device", "cpu");
    await studio.reads(".badge", /^CPU$/);
    expect(await studio.generate({ steps: 1 })).toMatch(/^Done/);
  });
});
