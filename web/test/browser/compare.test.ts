/** The comparison, in Chromium and Firefox, on the shipped model: the same settings give the same, others do not. */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { difference, remember } from "./pixels.ts";
import { decode, pattern } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));
const picture = (n: number) => `.column-figures figure:nth-child(${n}) .picture`;
const caption = (n: number) => `.column-figures figure:nth-child(${n}) figcaption`;

describe.each<BrowserName>(["chromium", "firefox"])("the comparison in %s", (name) => {
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
  const open = async (settings: string, options: OpenOptions = {}) => {
    studio = await Studio.open(browser, server.origin, folder, { ...options, query: `#panel=compare&${settings}`, bare: true });
    await studio.ready("compare");
    return studio;
  };
  /** Waits until nothing is under way in a part; returns what came of it, or fails with the alert. */
  const result = async (part = ".compare > .work") => {
    await studio!.appears(`${part} .primary:not([hidden])`);
    const alert = await studio!.text(`${part} .alert`);
    if (alert) throw new Error(alert);
    return studio!.text(`${part} .facts`);
  };
  const run = async () => {
    await studio!.press("Run all");
    return result();
  };
  const alert = async () => {
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    await studio!.dismiss();
    return sentence;
  };
  const differ = (a: string, b: string) => difference(studio!.page, a, b);
  /** Waits until two canvases show the same: pictures are painted one after the other. */
  const alike = async (a: string, b: string) => {
    for (let tries = 0; tries < 200; tries++) {
      if ((await differ(a, b)).most === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    throw new Error(`${a} and ${b} are not alike`);
  };
  const pick = (field: string, value: string) => studio!.page.$eval(`input[name=compare-${field}][value="${value}"]`, (input) => (input as HTMLInputElement).click());
  const time = (value: number) => studio!.fill("#compare-time", String(value));
  /** A row of the table, as numbers. */
  const row = (name: string) =>
    studio!.page.$$eval(".findings-table tbody tr", (rows, name) => [...rows.find((row) => row.querySelector("th")!.textContent!.startsWith(name))!.querySelectorAll("td")].map((cell) => Number.parseFloat(cell.textContent!)), name);
  /** The curves' values at the time looked at. */
  const values = () => studio!.page.$$eval(".readout strong", (found) => found.map((element) => Number.parseFloat(element.textContent!)));

  it("finds no difference between equal columns, at any time", async () => {
    await open("compare.class=lorelei&compare.seed=5&compare.columns=2&compare.steps1=6&compare.steps2=6&compare.sampler2=euler");
    expect(await run()).toMatch(/^2 columns in /);
    expect(await row("Latent")).toEqual([0, 0]);
    expect(await row("Pixels: mean")).toEqual([0, 0]);
    expect(await row("Pixels: largest")).toEqual([0, 0]);
    await alike(picture(1), picture(2));
    for (const view of ["clean", "state"]) {
      await pick("view", view);
      for (const at of [0.9, 0.5, 0.1]) {
        await time(at);
        await studio!.reads(caption(1), view === "clean" ? /^Guess at t = / : /^State at t = /);
        expect(await values()).toEqual([0, 0]);
        await studio!.until((one, other) => document.querySelector(one)!.textContent === document.querySelector(other)!.textContent, [caption(1), caption(2)]);
        await alike(picture(1), picture(2));
      }
    }
  });

  it("shows what samplers do, looks at any time, and draws it", async () => {
    const { page } = await open("compare.class=lorelei&compare.seed=5&compare.steps1=8&compare.steps2=8&compare.steps3=8");
    await run();
    await remember(page, "finished", picture(1));
    const far = await row("Latent");
    console.log(`${name}: Heun and the stochastic sampler end ${far[1]} and ${far[2]} standard deviations from Euler; questions ${(await row("Questions")).join(", ")}; ms a step ${(await row("Time per step")).join(", ")}`);
    expect(far[0]).toBe(0);
    expect(far[1]).toBeGreaterThan(0);
    expect(far[2]!, "fresh noise leads further away").toBeGreaterThan(far[1]!);
    expect(await row("Questions")).toEqual([16, 30, 16]);
    expect((await differ(picture(1), picture(3))).mean).toBeGreaterThan(1);
    expect(await values()).toEqual(far);
    // At the beginning all have the same noise and guess the same.
    await time(1);
    await studio!.reads(caption(1), /^Guess at t = 1\.00$/);
    expect(await values()).toEqual([0, 0, 0]);
    await alike(picture(1), picture(2));
    expect((await differ("finished", picture(1))).mean).toBeGreaterThan(1);
    // From their own ends: each gets there.
    await pick("to", "end");
    expect(Math.min(...(await values()))).toBeGreaterThan(0.1);
    await time(0);
    expect(await values()).toEqual([0, 0, 0]);
    await alike("finished", picture(1));
    // The curves are there, in three colours, and a press on them chooses the time.
    const canvas = (await page.$(".chart canvas"))!;
    const colours = await canvas.evaluate((element) => {
      const canvas = element as HTMLCanvasElement;
      const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      const wanted = [1, 2, 3].map((n) => getComputedStyle(document.querySelector(`.chart .ink-${n}`)!).color.match(/\d+/g)!.map(Number));
      return wanted.map(([r, g, b]) => {
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (Math.abs(data[i]! - r!) + Math.abs(data[i + 1]! - g!) + Math.abs(data[i + 2]! - b!) < 12 && data[i + 3]! > 200) count++;
        return count;
      });
    });
    for (const count of colours) expect(count).toBeGreaterThan(50);
    await canvas.scrollIntoView();
    const over = (await (await page.$(".chart .u-over"))!.boundingBox())!;
    await page.mouse.click(over.x + over.width * 0.25, over.y + over.height / 2);
    await studio!.reads("output[for=compare-time]", /^t = 0\.7[45]$/);
    // Towards the picture is to the right, for the keys as for the eye.
    await page.focus("#compare-time");
    await page.keyboard.press("End");
    const saved = await studio!.saved("Save picture");
    expect(saved.name).toBe("compare-1-lorelei-seed5-euler-8steps-guidance2.png");
    expect(decode(saved.file).width).toBeGreaterThan(0);
  });

  it("sets columns at one press, takes it back, and holds all of it in the link", async () => {
    const { page } = await open("");
    await studio!.press("Steps 5, 10, 25, 50");
    const steps = () => page.$$eval(".column:not([hidden]) input[id^=compare-steps]", (all) => all.map((input) => (input as HTMLInputElement).value));
    expect(await steps()).toEqual(["5", "10", "25", "50"]);
    expect(await page.$$eval(".column:not([hidden]) select[id^=compare-sampler]", (all) => all.map((input) => (input as HTMLSelectElement).value))).toEqual(["euler", "euler", "euler", "euler"]);
    await run();
    const far = await row("Latent");
    console.log(`${name}: 5, 10 and 25 steps end ${far.slice(0, 3).join(", ")} standard deviations from 50`);
    expect(far[3]).toBe(0);
    expect(far[0]!).toBeGreaterThan(far[1]!);
    expect(far[1]!).toBeGreaterThan(far[2]!);
    await studio!.until(() => location.hash.includes("compare.steps4=50"));
    await page.click(".undo button:first-child");
    expect(await steps()).toEqual(["25", "25", "25"]);
    await studio!.press("Guidance 1, 2, 4");
    await pick("columns", "2");
    await studio!.fill("#compare-steps1", "4");
    await studio!.fill("#compare-steps2", "4");
    await run();
    expect(await row("Questions")).toEqual([4, 8]);
    expect((await row("Latent"))[1]).toBeGreaterThan(0.01);
    // Guidance that acts at no time is none.
    await studio!.fill("#compare-low2", "0");
    await studio!.fill("#compare-high2", "0");
    await run();
    expect([await row("Latent"), await row("Questions")]).toEqual([[0, 0], [4, 4]]);
    // A class of its own.
    await page.select("#compare-class2", "thumbs");
    await run();
    expect((await row("Pixels: mean"))[1]).toBeGreaterThan(5);
  });

  it("says what cannot be, and can be stopped", async () => {
    await open("compare.class=dragon&compare.columns=2");
    expect(await alert()).toBe("This model has no class “dragon”; the usual one is chosen instead.");
    const wrong = async (field: string, value: string, good: string, words: RegExp) => {
      await studio!.fill(field, value);
      await studio!.press("Run all");
      expect(await alert()).toMatch(words);
      await studio!.fill(field, good);
    };
    await wrong("#compare-seed", "1.5", "1", /^The seed is “1.5”, but/);
    await wrong("#compare-steps2", "0", "1000", /^Column 2: Steps is 0, but/);
    await wrong("#compare-guidance1", "0.5", "2", /^Column 1: The guidance scale is 0.5, but/);
    await wrong("#compare-low1", "2", "0", /^Column 1: The times at which guidance acts must lie between 0 and 1/);
    await studio!.fill("#compare-high1", "0.2");
    await wrong("#compare-low1", "0.5", "0", /the smaller one first\.$/);
    await studio!.press("Run all");
    await studio!.reads(".compare > .work .task .words", /^Step \d+ of 1025$/);
    await studio!.press("Stop");
    expect(await result()).toBe("Stopped.");
  });

  it("sends one picture through both of the tokenizers that are shipped", async () => {
    const { page } = await open("compare.what=tokenizers");
    await studio!.reads(".about-models", /^2 models are here\./);
    await page.select("#compare-sample", await page.$eval("#compare-sample option:nth-child(3)", (option) => (option as HTMLOptionElement).value));
    await studio!.press("Send it through all");
    expect(await result(".compare-tokenizers > .work")).toMatch(/^2 tokenizers in /);
    const told = await page.$$eval(".tokenizers figcaption", (found) => found.slice(1).map((caption) => caption.textContent!));
    expect(told.map((text) => /^(MAETok|KL-VAE)/.exec(text)?.[1])).toEqual(["MAETok", "KL-VAE"]);
    const [masked, variational] = told.map((text) => Number(/PSNR (\d+\.\d) dB/.exec(text)![1]));
    expect(masked, told.join(" | ")).not.toBe(variational);
    const pictures = await page.$$eval(".tokenizers canvas", (found) => found.map((canvas) => canvas.toDataURL()));
    expect(new Set(pictures).size).toBe(3);
  });

  it("says that one model alone is here, and compares tokenizers where there are more", async () => {
    server.instead.push({ path: /\/models\/index\.json$/, status: 404, type: "text/plain", body: "no" });
    await open("compare.what=tokenizers");
    await studio!.reads(".about-models", /^Only one model is here, “.+”, so there is nothing to compare it with\./);
    await studio!.close();
    // Bad lists are as none.
    server.instead.splice(0, 1, { path: /\/models\/index\.json$/, status: 200, type: "application/json", body: "{\"x\":" });
    await open("compare.what=tokenizers");
    await studio!.reads(".about-models", /^Only one model is here/);
    await studio!.close();
    server.instead[0]!.body = JSON.stringify([
      { name: "one", title: "The one", manifest: "toon-128/manifest.json" },
      { name: "two", title: "The <b>other</b>", manifest: "toon-128/manifest.json?again" },
    ]);
    const { page } = await open("compare.what=tokenizers");
    await studio!.reads(".about-models", /^2 models are here\./);
    await page.select("#compare-sample", await page.$eval("#compare-sample option:nth-child(3)", (option) => (option as HTMLOptionElement).value));
    await studio!.press("Send it through all");
    expect(await result(".compare-tokenizers > .work")).toMatch(/^2 tokenizers in /);
    const facts = () => page.$$eval(".tokenizers figure", (all) => all.map((figure) => figure.querySelector("figcaption")!.textContent!));
    const [original, one, two] = await facts();
    expect(original).toMatch(/^Original, as the model sees it\d+ × \d+ pixels$/);
    expect(one).toMatch(/^The onePSNR \d+\.\d dBSSIM 0\.\d{3}\d+ tokens × \d+ channels: \d+ numbersthere and back in /);
    expect(two!.replace(/there and back.*/, "").replace("The <b>other</b>", "The one")).toBe(one!.replace(/there and back.*/, ""));
    expect((await differ(".tokenizers figure:nth-child(2) canvas", ".tokenizers figure:nth-child(3) canvas")).most).toBe(0);
    expect((await differ(".tokenizers figure:nth-child(1) canvas", ".tokenizers figure:nth-child(2) canvas")).mean).toBeGreaterThan(0.5);
    // A picture dropped here goes through all, too; what is none is refused in a sentence.
    await studio!.give("drop", ".compare", { name: "mine.png", file: pattern(80, 80) });
    await studio!.until((before) => document.querySelector(".tokenizers figure:nth-child(3) figcaption")?.textContent !== before && !document.querySelector<HTMLElement>(".compare-tokenizers .action .primary")!.hidden, [two!]);
    await studio!.give("drop", ".compare", { name: "bad.png", file: Buffer.from("no") });
    expect(await alert()).toMatch(/./);
    // Everything else works on as before.
    await pick("what", "settings");
    await studio!.fill("#compare-steps1", "2");
    await studio!.press("Steps 5, 10, 25, 50");
    await run();
  });
});

describe("looks of the comparison", () => {
  const folder = temporaryFolder();
  let browser: Browser;
  let server: TestServer;

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    server = await TestServer.start();
    const models = ["toon-128/manifest.json", "toon-128/manifest.json?again"].map((manifest, i) => ({ name: String(i), title: ["Toon, 128 pixels", "The same once more"][i], manifest }));
    server.instead.push({ path: /\/models\/index\.json$/, status: 200, type: "application/json", body: JSON.stringify(models) });
    browser = await launch("chromium", folder);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  it.each([320, 768, 1280].flatMap((width) => (["light", "dark"] as const).map((mode) => ({ width, mode }))))("$width pixels wide, $mode", async ({ width, mode }) => {
    const lang = width === 320 && mode === "dark" ? "?lang=de" : "";
    const studio = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark", query: `${lang}#panel=compare&compare.class=lorelei&compare.time=0.4`, bare: true });
    await studio.ready("compare");
    const { page } = studio;
    const shot = async (name: string) => {
      await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await page.screenshot({ path: join(SHOTS, `compare-${name}-${width}-${mode}.png`), fullPage: true });
      expect(await page.evaluate(() => document.documentElement.scrollWidth), "no sideways scrolling").toBeLessThanOrEqual(width);
    };
    const run = async () => {
      await page.click(".compare > .work .primary");
      await studio.appears(".compare > .work .primary:not([hidden])");
      expect(await studio.text(".compare > .work .alert")).toBe("");
      await studio.until(() => [...document.querySelectorAll(".column-figures figure:not([hidden]) figcaption")].every((caption) => /0[.,]4/.test(caption.textContent!)));
    };
    await shot("before");
    await run();
    await page.$$eval(".explain", (found) => found.forEach((details) => ((details as HTMLDetailsElement).open = true)));
    await shot("samplers");
    if (width !== 768) {
      await page.click(".compare-settings [role=group] button:nth-of-type(2)");
      await run();
      await shot("steps");
    }
    await page.$eval("input[name=compare-what][value=tokenizers]", (input) => (input as HTMLInputElement).click());
    await studio.reads(".about-models", /2/);
    await page.click(".compare-tokenizers .primary");
    await studio.appears(".compare-tokenizers .primary:not([hidden])");
    await shot("tokenizers");
    await studio.close();
  });
});

/** The gallery's pictures are the model's thumbnails; without them there is none to send through tokenizers. */
it("the shipped model has a picture for each class", () => {
  const { classes } = JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as { classes: { thumbnail?: string }[] };
  expect(classes.every(({ thumbnail }) => thumbnail)).toBe(true);
});
