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
    const bad: [string, string, RegExp][] = [
      ["text", file("text.png", "this is not a picture"), /picture/i],
      ["empty", file("empty.png", ""), /picture|empty/i],
      ["1×1", file("dot.png", pattern(1, 1)), /1 ?[×x] ?1|small/i],
      ["20,000 wide", file("wide.png", pattern(20_000, 8)), /20[ ,.]?000|large|wide/i],
      ["cut off", file("cut.png", good.subarray(0, good.length >> 1)), /./],
    ];
    for (const [what, path, words] of bad) {
      await studio.upload(path);
      const sentence = await studio.nextAlert();
      expectSentence(sentence);
      expect(sentence, what).toMatch(words);
      await studio.dismiss();
    }
    await studio.upload(file("good.png", good));
    expect((await studio.scores()).psnr).toBeGreaterThan(3);
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
    await studio.page.waitForSelector(".classes input");
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
    server.reset();
    await studio.press("Try again");
    await studio.page.waitForSelector(".classes input");
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
    // The second compute pass asks for what no device has.
    server.workerPrelude = `
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        const device = await request.call(this, descriptor);
        setTimeout(() => device.createBuffer({ size: 4, usage: 0 }), 200);
        return device;
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
    await studio.page.waitForFunction(() => document.querySelector(".badge")?.textContent === "CPU");
    expect(await studio.generate({ steps: 1 })).toMatch(/^Done/);
  });
});
