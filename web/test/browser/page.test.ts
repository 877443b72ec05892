/** The page in Chromium and Firefox: what it does when all is well. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { decode, encode, encodeChannels, pattern } from "./png.ts";
import { TestServer } from "./server.ts";
import { fixture, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

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
    await studio!.reads(".badge", /^CPU$/);
    expect(await studio!.text(".reason")).toContain("as you chose");
  });

  it("shows every step's guess, then the picture, and all of them afterwards", async () => {
    const { page } = await open();
    const facts = await studio!.generate({ steps: 6, seed: "5" });
    expect(facts).toMatch(/^Done in .* a step/);
    expect(await studio!.text(".caption")).toBe("The finished picture");
    const scrubber = await page.$eval("#scrubber", (element) => ({ max: (element as HTMLInputElement).max, value: (element as HTMLInputElement).value }));
    expect(scrubber).toEqual({ max: "6", value: "6" });
    const finished = await studio!.look();
    await studio!.fill("#scrubber", "0");
    expect(await studio!.text(".caption")).toBe("Guess at step 1 of 6, with 100 % noise left");
    expect(await studio!.look()).not.toBe(finished);
    await studio!.fill("#scrubber", "6");
    expect(await studio!.look()).toBe(finished);
    await studio!.developed();
    expect(await page.$$eval(".film canvas", (found) => found.length), "every step, and the picture").toBe(7);
    // A run this short leaves nothing out and has nothing to say about it.
    expect(await studio!.text("#scrubber-help")).toBe("");
    // The same seed gives the same picture again.
    await studio!.generate({});
    expect(await studio!.look()).toBe(finished);
  });

  it("shows a step's own pixels, chosen in the film or with the slider, and says whose they are", async () => {
    const { page } = await open();
    await studio!.generate({ steps: 4 });
    await studio!.developed();
    const label = await page.$eval(".class:has(:checked) .name", (name) => name.textContent!);
    // Another class chosen afterwards is not what the picture shows.
    await page.$$eval("input[name=class]", (inputs) => inputs.at(-1)!.click());
    await page.$eval(".stage .toggle input", (input) => input.click());
    const film = await page.$$(".film canvas");
    expect(film).toHaveLength(5);
    const thumbnails = await Promise.all(film.map((canvas) => canvas.evaluate((canvas) => canvas.toDataURL())));
    // The last guess may be the finished picture; the others differ.
    expect(new Set(thumbnails).size).toBeGreaterThanOrEqual(4);
    const shown = async () => ({
      pixels: await studio!.look(),
      at: await page.$eval("#scrubber", (slider) => (slider as HTMLInputElement).valueAsNumber),
      label: await page.$eval(".stage .picture", (canvas) => canvas.getAttribute("aria-label")),
      text: await page.$eval("#scrubber", (slider) => slider.getAttribute("aria-valuetext")),
    });
    const words = (index: number) => `Guess at step ${index + 1} of 4, with ${100 - 25 * index} % noise left`;
    await film[1]!.click();
    expect(await shown()).toEqual({ pixels: thumbnails[1], at: 1, label: `${label}: ${words(1)}`, text: words(1) });
    await studio!.fill("#scrubber", "2");
    expect(await shown()).toEqual({ pixels: thumbnails[2], at: 2, label: `${label}: ${words(2)}`, text: words(2) });
  });

  it("steps as Heun does or with fresh noise, and follows the class as strongly as the slider says", async () => {
    await open();
    const base = { seed: "5", steps: 3, guidance: 2, sampler: "euler" };
    const make = async (change: Partial<typeof base>) => {
      await studio!.generate({ ...base, ...change });
      return studio!.look();
    };
    const [plain, heun, sde] = [await make({}), await make({ sampler: "heun" }), await make({ sampler: "sde" })];
    expect(await make({ sampler: "sde" }), "the fresh noise is the seed's too").toBe(sde);
    const guided = await make({ guidance: 5 });
    expect(new Set([plain, heun, sde, guided]).size).toBe(4);
    expect(await studio!.text("output[for=guidance]")).toBe("5.0");
    expect((await studio!.saved("Save as PNG")).name).toMatch(/-seed5-3steps-guidance5\.png$/);
  });

  it("takes another seed from the dice", async () => {
    const { page } = await open();
    const seed = () => page.$eval("#seed", (input) => (input as HTMLInputElement).value);
    const seen = new Set([await seed()]);
    for (let i = 0; i < 3; i++) {
      await studio!.press("⚄");
      seen.add(await seed());
    }
    expect([...seen].every((digits) => /^\d{1,6}$/.test(digits))).toBe(true);
    expect(seen.size, [...seen].join(" ")).toBeGreaterThan(2);
  });

  it("keeps the last guess when it is stopped, and goes on afterwards", async () => {
    await open();
    await studio!.fill("#steps", "1000");
    await studio!.press("Generate");
    await studio!.reads(".caption", /Guess at step [2-9]/);
    await studio!.press("Stop");
    expect(await studio!.finished()).toMatch(/^Stopped at step \d+ of 1000; the last guess is kept\.$/);
    // Of so long a run only some steps are shown on the way; afterwards there is a picture of each.
    await studio!.developed();
    const last = await studio!.page.$eval("#scrubber", (slider) => (slider as HTMLInputElement).valueAsNumber);
    expect(await studio!.text(".caption")).toContain(`step ${last + 1} of 1000`);
    expect(await studio!.text(".facts")).toContain(`step ${last + 1} of 1000`);
    expect(await studio!.text(".caption")).toMatch(/^Guess at step \d+ of 1000/);
    expect((await studio!.saved("Save as PNG")).name).toMatch(/-1000steps-.*step\d+\.png$/);
    expect(await studio!.generate({ steps: 2 })).toMatch(/^Done/);
  });

  it("can be stopped while it downloads", async () => {
    await open();
    server.faults.set("sit/model.safetensors", "slow");
    await studio!.press("Generate");
    await studio!.reads(".stage .words", /Downloading: .* of .* MB/);
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
    await studio!.ready();
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

    // A picture that falls beside the box is taken too: the browser would leave the page for it.
    for (const [way, target, shade] of [["drop", ".drop", 90], ["drop", "body", 140], ["paste", ".drop", 200]] as const) {
      const file = encode({ width: size, height: size, rgb: new Uint8Array(size * size * 3).fill(shade) });
      const kept = await studio!.give(way, target, { name: `${way}.png`, file });
      expect(kept, `${way} on ${target}`).toEqual({ over: way === "drop", given: true });
      await studio!.scores();
      expect(await studio!.colour(".result .picture", 0.5, 0.5)).toEqual([shade, shade, shade]);
    }
    expect(await page.$$(".over")).toEqual([]);
  });

  it("reads CMYK, transparent, rotated and animated pictures, and says what it did to them", async () => {
    await open({ panel: "reconstruct" });
    expect(await studio!.page.$eval("#picture", (input) => (input as HTMLInputElement).accept)).toContain("image/gif");
    const half = encodeChannels(16, 16, 4, Uint8Array.from({ length: 16 * 16 * 4 }, (_, i) => (i % 4 === 3 ? ((i >> 2) % 16 < 8 ? 0 : 128) : 0)));
    const alpha = join(folder, "alpha.png");
    writeFileSync(alpha, half);
    const [red, blue] = [[200, 40, 40], [40, 60, 200]];
    const kinds: [string, string, [number, number, number[]][]][] = [
      [fixture("pictures/cmyk.jpg"), "CMYK: converted to RGB", [[0.25, 0.5, red], [0.75, 0.5, blue]]],
      [fixture("pictures/exif-6.jpg"), "rotated as its EXIF data ask", [[0.5, 0.25, red], [0.5, 0.75, blue]]],
      [fixture("pictures/animated.png"), "animated: first frame used", [[0.25, 0.5, red], [0.75, 0.5, blue]]],
      [fixture("pictures/animated.webp"), "animated: first frame used", [[0.25, 0.5, red], [0.75, 0.5, blue]]],
      [alpha, "transparent: laid on white", [[0.25, 0.5, [255, 255, 255]], [0.75, 0.5, [127, 127, 127]]]],
    ];
    for (const [path, notice, colours] of kinds) {
      await studio!.upload(path);
      await studio!.scores();
      expect(await studio!.text(".notices"), path).toBe(notice);
      for (const [x, y, want] of colours) {
        const got = await studio!.colour(".result .picture", x, y);
        expect(Math.max(...got.map((value, i) => Math.abs(value - want[i]!))), `${path}: ${got.join(" ")}`).toBeLessThanOrEqual(15);
      }
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
    for (let i = 0; i < 20; i++) {
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
    expect(walk).toEqual(["tour", "language", "Details and choice", "tab-generate", "class-search", "⚄ Any class", "class", "seed", "⚄", "steps", "guidance", "interval-first", "interval-second", "sampler", "count", "Generate"]);
    await page.keyboard.press("Enter");
    expect(await studio!.finished()).toMatch(/^Done/);
    // Focus comes back to the button that Stop stood in for.
    expect(await focused()).toBe("Generate");

    const tabTo = async (name: string, back = false) => {
      if (back) await page.keyboard.down("Shift");
      for (let i = 0; i < 20 && (await focused()) !== name; i++) await page.keyboard.press("Tab");
      if (back) await page.keyboard.up("Shift");
      expect(await focused()).toBe(name);
    };
    await studio!.developed();
    await tabTo("scrubber");
    await page.keyboard.press("ArrowLeft");
    expect(await studio!.text(".caption")).toMatch(/^Guess at step 3 of 3/);
    const write = async (digits: string) => {
      await page.keyboard.down("Control");
      await page.keyboard.press("a");
      await page.keyboard.up("Control");
      await page.keyboard.type(digits);
    };
    // An alert is reached and closed; the focus returns to the field that caused it.
    await tabTo("steps", true);
    await write("0");
    await page.keyboard.press("Enter");
    expect(await studio!.nextAlert()).toMatch(/^Steps is 0/);
    await tabTo("Close");
    await page.keyboard.press("Enter");
    expect(await studio!.text(".stage .alert")).toBe("");
    expect(await focused()).toBe("steps");
    // A run is begun and stopped from the same place.
    await write("1000");
    await tabTo("Generate");
    await page.keyboard.press("Enter");
    expect(await focused()).toBe("Stop");
    await studio!.reads(".caption", /of 1000/);
    await page.keyboard.press("Enter");
    expect(await studio!.finished()).toMatch(/^Stopped at step/);
    expect(await focused()).toBe("Generate");
    // The other panel is an arrow key away from its tab.
    await tabTo("tab-generate", true);
    await page.keyboard.press("ArrowRight");
    expect(await focused()).toBe("tab-reconstruct");
    await studio!.appears("#picture");
    await tabTo("picture");
  });

  it("ends its worker when it is taken out of the page, and begins anew when it is put back", async () => {
    const { page } = await open();
    const gone = await page.evaluate(() => {
      let ended = 0;
      const { terminate } = Worker.prototype;
      Worker.prototype.terminate = function () {
        ended++;
        terminate.call(this);
      };
      const element = document.querySelector("maetok-studio")!;
      const place = element.parentElement!;
      element.remove();
      const over = new DragEvent("dragover", { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() });
      document.body.dispatchEvent(over);
      place.append(element);
      return { ended, listens: over.defaultPrevented };
    });
    expect(gone).toEqual({ ended: 1, listens: false });
    await studio!.ready();
    expect(await studio!.generate({ steps: 1 })).toMatch(/^Done/);
  });

  it("tells screen readers what happens, not every step of it", async () => {
    const { page } = await open();
    await page.evaluate(() => {
      const said: string[] = [];
      (globalThis as { said?: string[] }).said = said;
      new MutationObserver(() => said.push(document.querySelector("[role=status].visually-hidden")!.textContent!)).observe(document.querySelector("[role=status].visually-hidden")!, { childList: true });
    });
    await studio!.generate({ steps: 20 });
    const said = await page.evaluate(() => (globalThis as { said?: string[] }).said!);
    expect(said.at(-1)).toMatch(/^Finished in/);
    expect(said.length).toBeLessThan(12);
  });

  const overflow = () => studio!.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

  it.each([320, 768, 1920])("fits a window %d pixels wide", async (width) => {
    await open({ width });
    expect(await overflow()).toBe(0);
  });

  it("fits a phone with everything open: film, scores, alerts, details", async () => {
    const { page } = await open({ width: 320 });
    await studio!.generate({ steps: 8 });
    await studio!.upload(fixture("pictures/cmyk.jpg"));
    await studio!.scores();
    await studio!.give("drop", "body", { link: "https://example.org/" });
    await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
    const shown = (selector: string) => page.$$eval(selector, (found) => found.filter((element) => element.checkVisibility()).map((element) => element.localName));
    const all = ".film canvas, .scores dd, .alert p, .checks tr, math";
    expect([...new Set(await shown(all))].sort()).toEqual(["dd", "math", "p", "tr"]);
    expect(await overflow()).toBe(0);
    await studio!.show("generate");
    await studio!.fill("#seed", "9".repeat(40));
    await studio!.press("Generate");
    expect([...new Set(await shown(all))].sort()).toEqual(["canvas", "math", "p", "tr"]);
    expect(await shown(".alert p")).toHaveLength(2);
    expect(await overflow()).toBe(0);
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
