/** The panel about the machine: what it says is true, the benchmark measures, what is kept can be seen and deleted. */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createHash } from "node:crypto";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));

interface Report {
  made: string;
  browser: { userAgent: string };
  page: { version: string; build: string; wasmSha256: string };
  model: { title: string; manifestSha256: string };
  diagnosis: { engine: string; checks: { name: string; value: string }[] };
  engine: { kind: string; name: string; software: boolean; disabled_kernels: string[] } | null;
  adapter: { vendor: string; features: string[]; limits: Record<string, number> } | null;
  memory: { engineBytes: number | null; weightsBytesEstimated: number };
  storage: { items: { kind: string; name: string; bytes: number }[] | null };
  runs: { what: string; outcome: string; ms: number; steps: number; timing: { steps: number; previews: number } | null }[];
  benchmark: { route: string; figures: { name: string; seconds: number[] }[] }[];
}

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

describe.each<BrowserName>(["chromium", "firefox"])("the machine's panel in %s", (name) => {
  const folder = temporaryFolder();
  let browser: Browser;
  let server: TestServer;
  let studio: Studio | undefined;

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
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
  const open = async (options: OpenOptions = { panel: "machine" }) => (studio = await Studio.open(browser, server.origin, folder, options));
  const report = async (): Promise<Report> => {
    // What has just changed is shown in a moment.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return JSON.parse((await studio!.saved("Save as JSON")).file.toString()) as Report;
  };
  /** Waits for an entry about a task whose words match, newest first, and returns them. */
  const written = async (words: RegExp): Promise<string> => {
    const entries = () => studio!.page.$$eval("#panel-machine .runs li", (found) => found.map((entry) => `${entry.querySelector(".what")!.textContent} ${entry.querySelector("p")!.textContent}`));
    await studio!.until((words) => [...document.querySelectorAll("#panel-machine .runs li")].some((entry) => new RegExp(words).test(`${entry.querySelector(".what")!.textContent} ${entry.querySelector("p")!.textContent}`)), [words.source]);
    return (await entries()).find((entry) => words.test(entry))!;
  };
  /** Value of a name on the panel. */
  const fact = (of: string) =>
    studio!.page.$$eval("#panel-machine .facts-list > div", (rows, of) => rows.find((row) => row.querySelector("dt")?.textContent === of)?.querySelector("dd")?.textContent ?? null, of);
  const rows = () => studio!.page.$$eval("#panel-machine .kept li", (found) => found.map((row) => row.querySelector(".what")!.textContent + " | " + row.querySelector(".size")!.textContent));

  it("says what there is before anything is downloaded, and after a picture how long each part took", async () => {
    await open();
    const before = await report();
    expect(before.engine).toBeNull();
    expect(before.runs).toEqual([]);
    expect(before.memory.engineBytes).toBeNull();
    expect(server.requests.filter((path) => /wasm$|safetensors/.test(path))).toEqual([]);
    const html = readFileSync(join(server.page, "index.html"), "utf8");
    expect(html).toContain(`content="${before.page.build}"`);
    expect(before.page.wasmSha256).toBe(sha256(readFileSync(new URL("../../pkg/maetok_web_bg.wasm", import.meta.url))));
    expect(before.model.manifestSha256).toBe(sha256(readFileSync(join(MODEL, "manifest.json"))));
    expect(before.adapter!.features).toContain("timestamp-query");
    expect(Object.keys(before.adapter!.limits).length).toBeGreaterThan(20);
    expect(before.adapter!.limits.maxBufferSize).toBeGreaterThanOrEqual(2 ** 28);
    expect(await fact("Engine (WebAssembly)")).toBe("not downloaded yet");
    expect(await fact("Weights on the device, estimated")).toMatch(/^2\d MB, as they ship$/);

    await studio!.generate({ steps: 7, seed: "3" });
    await studio!.show("machine");
    expect(await written(/^Picture, 7 steps/)).toMatch(/download [\d.]+ m?s.* computing [\d.]+ m?s · [\d.]+ m?s a step · guesses \d+ % of it$/);
    await studio!.until(() => document.querySelector("#panel-machine .facts-list")?.textContent?.includes("none: the processor runs loops with SIMD"));
    const after = await report();
    expect(after.engine).toMatchObject({ kind: "cpu", software: false, disabled_kernels: [] });
    expect(after.memory.engineBytes).toBeGreaterThan(30e6);
    // After it the film's other pictures were decoded.
    const run = after.runs.find(({ what }) => what === "generate");
    expect(run).toMatchObject({ what: "generate", outcome: "done", steps: 7 });
    expect(run!.ms).toBeGreaterThan(run!.timing!.steps + run!.timing!.previews);
    expect(after.storage.items!.filter(({ kind }) => kind === "weights").map(({ name, bytes }) => [name, bytes])).toEqual(
      expect.arrayContaining([["sit/model.safetensors", readFileSync(join(MODEL, "sit/model.safetensors")).length]]),
    );
  });

  it("writes down a run that was stopped, and where", async () => {
    await open();
    await studio!.show("generate");
    await studio!.fill("#steps", "1000");
    await studio!.press("Generate");
    await studio!.reads(".caption", /Guess at step \d+/);
    await studio!.press("Stop");
    const said = await studio!.finished();
    await studio!.show("machine");
    const text = await written(/^Picture, 1,?000 steps.*stopped after step \d+$/);
    // The last picture may be of an earlier step than the run.
    const shown = Number(/step (\d+)/.exec(said)![1]);
    expect(Number(/after step (\d+)$/.exec(text)![1])).toBeGreaterThanOrEqual(shown);
  });

  it("measures the model, and the library's own operations beside it", async () => {
    const { page } = await open({ query: "#machine.runs=2" });
    await studio!.show("machine");
    expect(await page.$eval("#bench-runs", (input) => (input as HTMLInputElement).value)).toBe("2");
    await studio!.press("Measure");
    await studio!.reads("#panel-machine .bench ~ .hint:not(:empty) ~ p", /Measured in/);
    const table = await page.$$eval("#panel-machine .table tr", (found) => found.map((row) => [...row.children].map((cell) => cell.textContent ?? "")));
    expect(table[0]).toEqual(["Work", "Median", "Fastest to slowest", "Rate", "Burn's own", "Ratio"]);
    expect(table.slice(1).map(([work]) => work)).toEqual(["Encoding a picture", "Decoding a picture", "A guided step", "A picture of 25 steps", "Linear layer, 385 × 768 × 3072", "Linear layer, 128 × 1152 × 4608"]);
    const { benchmark } = await report();
    expect(benchmark.map(({ route }) => route)).toEqual(["by-adapter", "plain", "by-adapter", "plain"]);
    for (const row of table.slice(1)) {
      expect(row[1]).toMatch(/^[\d.]+ m?s$/);
      expect(row[5]).toMatch(/^[\d.]+ ×$/);
    }
    // 2 M K N operations in the median's time.
    const layer = benchmark[2]!.figures[0]!;
    const middle = [...layer.seconds].sort((a, b) => a - b)[1]!;
    expect(Number.parseFloat(table[5]![3]!)).toBeCloseTo((2 * 385 * 768 * 3072) / middle / 1e9, 0);
    // What takes 25 steps takes about 25 times as long as one.
    const median = (figure: { seconds: number[] }) => [...figure.seconds].sort((a, b) => a - b)[1]!;
    const model = Object.fromEntries(benchmark[0]!.figures.map((figure) => [figure.name, median(figure)]));
    expect(model["picture of 25 steps"]! / model.step!).toBeGreaterThan(8);
    // The ratio is that of the medians.
    const plain = Object.fromEntries(benchmark[1]!.figures.map((figure) => [figure.name, median(figure)]));
    expect(Number.parseFloat(table[1]![5]!)).toBeCloseTo(plain.encode! / model.encode!, 1);
    console.log(`${name}:\n${table.map((row) => row.join(" | ")).join("\n")}`);
  });

  it("stops measuring when asked, keeps what was measured, and refuses nonsense", async () => {
    await open();
    await studio!.fill("#bench-runs", "0");
    await studio!.press("Measure");
    expect(await studio!.nextAlert()).toBe("“0” is no number of times; 1 to 20 can be measured.");
    await studio!.fill("#bench-runs", "1");
    await studio!.press("Measure");
    await studio!.appears("#panel-machine .table tbody tr");
    await studio!.press("Stop");
    await studio!.reads("#panel-machine .bench ~ .hint:not(:empty) ~ p", /Stopped: these parts were measured/);
    // The engine is still of use.
    expect(await studio!.generate({ steps: 1 })).toMatch(/^Done/);
  });

  it("shows what is kept, deletes one or all of it, and the model is downloaded again", async () => {
    await open();
    await studio!.reads("#panel-machine", /Nothing is kept yet/);
    await studio!.generate({ steps: 1 });
    await studio!.show("machine");
    await studio!.appears("#panel-machine .kept li");
    await studio!.until(() => document.querySelectorAll("#panel-machine .kept li").length === 4);
    const weights = [readFileSync(join(MODEL, "sit/model.safetensors")).length, readFileSync(join(MODEL, "tokenizer/model.safetensors")).length];
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
    expect((await rows()).slice(0, 2)).toEqual([`Modelsit/model.safetensors | ${megabytes(weights[0]!)}`, `Modeltokenizer/model.safetensors | ${megabytes(weights[1]!)}`]);

    const { page } = studio!;
    await page.click("[aria-label='Delete: Model, sit/model.safetensors']");
    await studio!.until(() => document.querySelectorAll("#panel-machine .kept li").length === 3);
    expect(await page.evaluate(() => document.activeElement?.textContent), "the focus is not lost").toBe("Delete everything");
    server.requests.length = 0;
    await page.reload();
    await studio!.ready("machine");
    await studio!.generate({ steps: 1 });
    expect(server.requests.filter((path) => path.endsWith(".safetensors"))).toEqual(["/models/toon-128/sit/model.safetensors"]);
    await studio!.show("machine");
    await studio!.until(() => document.querySelectorAll("#panel-machine .kept li").length === 4);
    await studio!.press("Delete everything");
    await studio!.reads("#panel-machine", /Nothing is kept yet/);
    expect(await page.evaluate(async () => (await Promise.all((await caches.keys()).map(async (name) => (await (await caches.open(name)).keys()).length))).reduce((a, b) => a + b, 0))).toBe(0);
  });

  it("says so where the browser keeps nothing, and works", async () => {
    const { page } = await open({ bare: true, query: "#generate.steps=1" });
    await page.evaluateOnNewDocument(() => {
      Object.defineProperty(globalThis, "caches", { value: undefined });
      Object.defineProperty(Navigator.prototype, "storage", { value: undefined });
    });
    await page.reload();
    await studio!.ready();
    await studio!.generate({ steps: 1 });
    await studio!.show("machine");
    await studio!.reads("#panel-machine", /This browser keeps nothing for this page: storage is switched off, or this is a private window\./);
    await studio!.reads("#panel-machine", /This browser does not let the page be kept here/);
  });

  if (name === "chromium") {
    it("says so where there is too little room, and makes the picture all the same", async () => {
      const { page } = await open();
      const cdp = await page.createCDPSession();
      await cdp.send("Storage.overrideQuotaForOrigin", { origin: server.origin, quotaSize: 1_000_000 });
      await studio!.generate({ steps: 1 });
      await studio!.show("machine");
      await studio!.reads("#panel-machine", /The browser did not keep all of the model, most likely for want of room: 2\d MB are missing/);
      expectSentence(await page.$eval("#panel-machine .kept", (list) => list.previousElementSibling!.textContent!));
    });

    it("copies the report, or says that it may not", async () => {
      const { page } = await open();
      await studio!.context.overridePermissions(server.origin, ["clipboard-read", "clipboard-sanitized-write"]);
      await page.bringToFront();
      await studio!.press("Copy as JSON");
      await studio!.reads("[role=status].visually-hidden", /^Copied/);
      const text = await page.evaluate(() => navigator.clipboard.readText());
      expect((JSON.parse(text) as Report).page.version).toMatch(/^\d+\.\d+\.\d+$/);
      await page.evaluate(() => (navigator.clipboard.writeText = () => Promise.reject(new Error("no"))));
      await studio!.press("Copy as JSON");
      expect(await studio!.nextAlert()).toBe("The browser did not let the page copy. Save the report as a file instead.");
    });

    describe.each([320, 768, 1280])("looks, %d pixels wide", (width) => {
      it.each(["light", "dark"])("%s", async (mode) => {
        const { page } = await open({ width, dark: mode === "dark", query: "#machine.runs=1" });
        await studio!.generate({ steps: 5 });
        await studio!.show("machine");
        await page.$eval("#panel-machine details", (details) => ((details as HTMLDetailsElement).open = false));
        if (mode === "light") {
          await studio!.press("Measure");
          await studio!.reads("#panel-machine .bench ~ .hint:not(:empty) ~ p", /Measured in/);
        } else await page.$$eval("#panel-machine details", (found) => found.forEach((details) => (details.open = true)));
        await page.evaluate(() => (document.activeElement as HTMLElement).blur());
        await page.screenshot({ path: join(SHOTS, `machine-${width}-${mode}.png`), fullPage: true });
        expect(await page.evaluate(() => document.documentElement.scrollWidth), "no sideways scrolling").toBeLessThanOrEqual(width);
      });
    });
  }
});
