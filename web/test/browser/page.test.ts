/** The page in Chromium and Firefox: what it does when all is well. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { decode, encode, pattern } from "./png.ts";
import { TestServer } from "./server.ts";
import { type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

describe.each<BrowserName>(["chromium", "firefox"])("the page in %s", (name) => {
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
    expect(foreign, "everything comes from the page's own origin").toEqual([]);
  });
  const open = async (options?: OpenOptions) => (studio = await Studio.open(browser, server.origin, folder, options));

  it("says what computes here and why, before it downloads anything large", async () => {
    const { page } = await open();
    expect(await studio!.text(".badge")).toBe("CPU");
    expect(await studio!.text(".reason")).toMatch(/software and 4 to 20 times slower\.$/);
    const rows = await page.$$eval(".checks tr", (found) => found.map((row) => row.textContent ?? ""));
    expect(rows.join("\n")).toMatch(/Graphics adapter.*\(software\)/);
    expect(rows.join("\n")).toMatch(/WebAssembly SIMD.*yes/);
    expect(server.requests.filter((path) => /wasm|safetensors/.test(path))).toEqual([]);
    expect(await studio!.text(".stage > .hint")).toMatch(/downloads up to [\d.]+ MB, once/);
  });

  it("changes the engine on request, from the page and from the address", async () => {
    await open({ query: "?device=webgpu" });
    expect(await studio!.text(".badge")).toBe("WebGPU, software");
    await studio!.page.$eval(".machine details", (details) => ((details as HTMLDetailsElement).open = true));
    await studio!.page.select("#device", "cpu");
    await studio!.page.waitForFunction(() => document.querySelector(".badge")?.textContent === "CPU");
    expect(await studio!.text(".reason")).toContain("as you chose");
  });

  it("shows every step's guess, then the picture, and all of them afterwards", async () => {
    const { page } = await open();
    const facts = await studio!.generate({ steps: 6, seed: "5" });
    expect(facts).toMatch(/^Done in .* a step/);
    expect(await studio!.text(".caption")).toBe("The finished picture");
    const scrubber = await page.$eval("#scrubber", (element) => ({ max: (element as HTMLInputElement).max, value: (element as HTMLInputElement).value }));
    expect(scrubber).toEqual({ max: "6", value: "6" });
    const look = () => page.$eval(".stage .picture", (canvas) => (canvas as HTMLCanvasElement).toDataURL());
    const finished = await look();
    await studio!.fill("#scrubber", "0");
    expect(await studio!.text(".caption")).toBe("Guess at step 1 of 6, with 100 % noise left");
    expect(await look()).not.toBe(finished);
    await studio!.fill("#scrubber", "6");
    expect(await look()).toBe(finished);
    // The same seed gives the same picture again, another seed another.
    await studio!.generate({});
    expect(await look()).toBe(finished);
    await studio!.generate({ seed: "6" });
    expect(await look()).not.toBe(finished);
  });

  it("keeps the last guess when it is stopped, and goes on afterwards", async () => {
    const { page } = await open();
    await studio!.fill("#steps", "1000");
    await studio!.press("Generate");
    await page.waitForFunction(() => /Guess at step [2-9]/.test(document.querySelector(".caption")?.textContent ?? ""));
    await studio!.press("Stop");
    expect(await studio!.finished()).toMatch(/^Stopped at step \d+ of 1000; the last guess is kept\.$/);
    expect(await studio!.text(".caption")).toMatch(/^Guess at step \d+ of 1000/);
    expect((await studio!.saved("Save as PNG")).name).toMatch(/-1000steps-.*step\d+\.png$/);
    expect(await studio!.generate({ steps: 2 })).toMatch(/^Done/);
  });

  it("can be stopped while it downloads", async () => {
    const { page } = await open();
    server.faults.set("sit/model.safetensors", "slow");
    await studio!.press("Generate");
    await page.waitForFunction(() => /Downloading: .* of .* MB/.test(document.querySelector(".stage .words")?.textContent ?? ""));
    await studio!.press("Stop");
    expect(await studio!.finished()).toBe("Stopped.");
    server.reset();
    expect(await studio!.generate({ steps: 2 })).toMatch(/^Done/);
  });

  it("downloads the model once: the second visit takes it from the cache", async () => {
    const { page } = await open();
    await studio!.generate({ steps: 1 });
    const weights = () => server.requests.filter((path) => path.endsWith(".safetensors")).length;
    const before = weights();
    expect(before).toBeGreaterThan(0);
    await page.reload();
    await page.waitForSelector(".classes input");
    expect(await studio!.text(".stage > .hint")).toBe("");
    await studio!.generate({ steps: 1 });
    expect(weights()).toBe(before);
  });

  it("saves the picture that is shown as PNG", async () => {
    await open();
    await studio!.generate({ steps: 2, seed: "7" });
    const { name: file, file: bytes } = await studio!.saved("Save as PNG");
    expect(file).toMatch(/^[a-z-]+-seed7-2steps-guidance2\.png$/);
    const { width, height, rgb } = decode(bytes);
    expect(width).toBe(height);
    expect(new Set(rgb).size).toBeGreaterThan(10);
  });

  it("reconstructs a picture from the file dialog, a drop and the clipboard, and saves both", async () => {
    const { page } = await open();
    const path = join(folder, "mine.png");
    writeFileSync(path, pattern(90, 70));
    await studio!.upload(path);
    const first = await studio!.scores();
    expect(first.psnr).toBeGreaterThan(3);
    expect(first.ssim).toBeLessThan(1);
    const original = await studio!.saved("Save original as PNG");
    expect(original.name).toBe("mine-original.png");
    const size = decode(original.file).width;
    expect((await studio!.saved("Save reconstruction as PNG")).name).toBe("mine-reconstruction.png");

    // Another picture each time, so that the numbers change.
    for (const [way, shade] of [["drop", 90], ["paste", 200]] as const) {
      const plain = encode({ width: size, height: size, rgb: new Uint8Array(size * size * 3).fill(shade) }).toString("base64");
      const before = await studio!.text(".scores");
      await page.evaluate(
        (way, base64) => {
          const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], `${way}.png`, { type: "image/png" }));
          const target = document.querySelector(".drop")!;
          const event = way === "drop" ? new DragEvent("drop", { bubbles: true, dataTransfer: data }) : new ClipboardEvent("paste", { bubbles: true });
          // Firefox takes no files in a made clipboard event's options.
          if (way === "paste") Object.defineProperty(event, "clipboardData", { value: data });
          target.dispatchEvent(event);
        },
        way,
        plain,
      );
      await page.waitForFunction((before) => document.querySelector(".scores")?.textContent !== before, {}, before);
      await studio!.scores();
    }
  });

  it("can be used with the keyboard alone", async () => {
    const { page } = await open();
    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement as HTMLElement | null;
        return element?.id || (element as HTMLInputElement | null)?.name || element?.textContent || "";
      });
    const walk: string[] = [];
    for (let i = 0; i < 14; i++) {
      await page.keyboard.press("Tab");
      const name = await focused();
      walk.push(name);
      if (name === "class") {
        const before = await page.$eval("input[name=class]:checked", (input) => (input as HTMLInputElement).value);
        await page.keyboard.press("ArrowRight");
        expect(await page.$eval("input[name=class]:checked", (input) => (input as HTMLInputElement).value)).not.toBe(before);
      }
      if (name === "steps") {
        await page.keyboard.down("Control");
        await page.keyboard.press("a");
        await page.keyboard.up("Control");
        await page.keyboard.type("3");
      }
      if (name === "Generate") break;
    }
    expect(walk).toEqual(["Details and choice", "class", "seed", "⚄", "steps", "guidance", "sampler", "Generate"]);
    await page.keyboard.press("Enter");
    expect(await studio!.finished()).toMatch(/^Done/);
    // Focus comes back to the button that Stop stood in for; the slider is next.
    expect(await focused()).toBe("Generate");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("scrubber");
    await page.keyboard.press("ArrowLeft");
    expect(await studio!.text(".caption")).toMatch(/^Guess at step 3 of 3/);
  });

  it("tells screen readers what happens, not every step of it", async () => {
    const { page } = await open();
    await page.evaluate(() => {
      const said: string[] = [];
      (globalThis as { said?: string[] }).said = said;
      new MutationObserver(() => said.push(document.querySelector("[role=status]")!.textContent!)).observe(document.querySelector("[role=status]")!, { childList: true });
    });
    await studio!.generate({ steps: 20 });
    const said = await page.evaluate(() => (globalThis as { said?: string[] }).said!);
    expect(said.at(-1)).toMatch(/^Finished in/);
    expect(said.length).toBeLessThan(12);
  });

  it.each([320, 768, 1920])("fits a window %d pixels wide", async (width) => {
    const { page } = await open({ width });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(overflow).toBe(0);
  });
});

describe("the server of cargo xtask", () => {
  const origin = process.env.MAETOK_ORIGIN;
  it.skipIf(!origin)(`serves the same page (skipped unless MAETOK_ORIGIN names it: ${origin ?? "not set"})`, async () => {
    const folder = temporaryFolder();
    const browser = await launch("chromium", folder);
    try {
      const studio = await Studio.open(browser, origin!, folder);
      expect(await studio.generate({ steps: 2 })).toMatch(/^Done/);
      expect(studio.complaints).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
