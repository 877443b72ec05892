/**
 * The kernels of the engine on WebGPU: tested once and remembered, and left out by name when a graphics processor refuses
 * one, at its start or later. The faults are put into the worker; nothing else about the browsers is changed.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { TestServer } from "./server.ts";
import { expectSentence, Studio, temporaryFolder } from "./studio.ts";

/** A worker in which every shader whose text has all `parts` is refused, as by a driver that cannot compile it. */
const refusing = (...parts: string[]) => `
  const create = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function (descriptor) {
    const refused = ${JSON.stringify(parts)}.every((part) => descriptor.code.includes(part));
    return create.call(this, refused ? { ...descriptor, code: descriptor.code + "\\nfn broken( {" } : descriptor);
  };`;

/** The kernels as they lie on disk. */
const SHADERS = fileURLToPath(new URL("../../../shaders/", import.meta.url));

/** A software adapter needs seconds for a step. */
const PATIENCE = 600_000;

describe.each<BrowserName>(["chromium", "firefox"])("the kernels in %s", (name) => {
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
    await studio?.close();
    studio = undefined;
    server.reset();
  });
  const open = async () => (studio = await Studio.open(browser, server.origin, folder, { query: "?device=webgpu" }));
  const generate = () => studio!.generate({ steps: 1, seed: "5" }, PATIENCE);
  const row = async () => {
    const rows = await studio!.page.$$eval(".checks tr", (found) => found.map((row) => row.textContent ?? ""));
    return rows.find((row) => row.includes("Self-test of the kernels"));
  };

  it("are accepted by the compiler, those too that no picture needs", async () => {
    const { page } = await open();
    const texts = readdirSync(SHADERS).filter((file) => file.endsWith(".wgsl")).map((file) => [file, readFileSync(join(SHADERS, file), "utf8")] as const);
    expect(texts.length).toBeGreaterThan(10);
    const refused = await page.evaluate(async (texts) => {
      const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
      const faults: string[] = [];
      for (const [file, code] of texts) {
        device.pushErrorScope("validation");
        const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
        const error = await device.popErrorScope();
        faults.push(...messages.filter(({ type }) => type === "error").map(({ lineNum, message }) => `${file}:${lineNum} ${message}`));
        if (error) faults.push(`${file}: ${error.message}`);
      }
      return faults;
    }, texts);
    expect(refused).toEqual([]);
  });

  it("are tested once, and again if what was kept is damaged or a person wants it", async () => {
    const { page } = await open();
    await generate();
    expect(await row()).toMatch(/all gave the right numbers \(tested now\)$/);
    const picture = await studio!.look();
    const reload = async () => {
      await page.reload();
      await studio!.ready();
    };
    await reload();
    await generate();
    expect(await row()).toMatch(/all gave the right numbers \(remembered\)$/);
    expect(await studio!.look()).toBe(picture);

    const spoilt = await page.evaluate(async () => {
      const cache = await caches.open("maetok-self-test-1");
      const keys = await cache.keys();
      for (const key of keys) await cache.put(key, new Response((await (await cache.match(key))!.text()) + "attention: no\n"));
      return keys.length;
    });
    expect(spoilt).toBe(1);
    await reload();
    await generate();
    expect(await row()).toMatch(/\(tested now\)$/);

    await page.$eval(".machine details", (details) => ((details as HTMLDetailsElement).open = true));
    await studio!.press("Test the kernels again");
    await studio!.reads(".checks", /will be repeated with the next picture/);
    await generate();
    expect(await row()).toMatch(/\(tested now\)$/);
    expect(studio!.complaints).toEqual([]);
  });

  it("are left out by name when one is refused at the start, and the picture is made all the same", async () => {
    server.workerPrelude = refusing("fn layer_norm_rows(");
    await open();
    expect(await generate()).toMatch(/^Done/);
    expect(await row()).toMatch(/left out, slower operations take their place: layer_norm_rows: .+ \(tested now\)$/);
  });

  it("are left out by name when one is refused in the midst of a run, now and by the next page", async () => {
    // An activation that the model has and the self-test does not try with so few rows.
    server.workerPrelude = refusing("const ROWS = ", "const ACTIVATION = SILU;");
    const { page } = await open();
    await studio!.fill("#steps", "1");
    await studio!.press("Generate");
    const sentence = await studio!.nextAlert(PATIENCE);
    expectSentence(sentence);
    expect(sentence).toMatch(/^The run failed: the graphics processor refuses the kernel vector_matrix \(.+\)\. The engine has been restarted/);
    await studio!.press("Try again");
    expect(await studio!.finished(PATIENCE)).toMatch(/^Done/);
    expect(await row()).toMatch(/left out, slower operations take their place: vector_matrix: .+ \(remembered\)$/);
    await page.reload();
    await studio!.ready();
    expect(await generate()).toMatch(/^Done/);
    expect(await row()).toMatch(/vector_matrix: .+ \(remembered\)$/);
  });
});
