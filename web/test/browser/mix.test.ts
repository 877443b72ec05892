/** Mixing, in Chromium and Firefox, on the shipped model: what lies between two pictures, and that the ends are the ends. */

import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { difference, remember } from "./pixels.ts";
import { decode, pattern } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, fixture, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));
const A = ".source:first-child .picture";
const B = ".source:last-child .picture";
const SHOWN = ".view:not([hidden]) .mix-film .picture";
const strip = (nth: number) => `.view:not([hidden]) .film canvas:nth-child(${nth})`;

/** Few steps: what is tested does not depend on how good the pictures are. */
const QUICK = "mix.steps=6&mix.aClass=lorelei&mix.bClass=thumbs";

describe.each<BrowserName>(["chromium", "firefox"])("mixing in %s", (name) => {
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
    studio = await Studio.open(browser, server.origin, folder, { ...options, query: `#panel=mix&${settings}`, bare: true });
    await studio.ready("mix");
    return studio;
  };
  /** Waits until nothing is under way; returns what came of it, or fails with the alert. */
  const result = async () => {
    await studio!.appears(".mix .action .primary:not([hidden])");
    const alert = await studio!.text(".mix > .work .alert");
    if (alert) throw new Error(alert);
    return studio!.text(".mix .work .facts");
  };
  const press = async (label: string) => {
    await studio!.press(label);
    return result();
  };
  const alert = async () => {
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    return sentence;
  };
  const differ = (a: string, b: string) => difference(studio!.page, a, b);
  const same = (a: string, b: string) => studio!.until((a, b) => document.querySelector<HTMLCanvasElement>(a)!.toDataURL() === document.querySelector<HTMLCanvasElement>(b)!.toDataURL(), [a, b]);
  const share = (value: number) => studio!.fill(".view:not([hidden]) [id$=-share]", String(value));
  const pick = (field: string, value: string) => studio!.page.$eval(`input[name=mix-${field}][value=${value}]`, (input) => (input as HTMLInputElement).click());
  const reads = (words: RegExp) => studio!.reads(".view:not([hidden]) .caption", words);

  it("goes from one picture to another through their latents: exactly from the one, exactly to the other", async () => {
    const { page } = await open(QUICK);
    expect(await press("Mix")).toMatch(/^9 pictures in .*\. The latents of A and B are [0-9.]+ standard deviations apart/);
    await share(0);
    await reads(/^100 % A, 0 % B$/);
    await same(SHOWN, A);
    await share(1);
    await reads(/^0 % A, 100 % B$/);
    await same(SHOWN, B);
    expect((await differ(A, B)).mean).toBeGreaterThan(5);
    await share(0.5);
    await reads(/^50 % A/);
    await remember(page, "round", SHOWN);
    expect((await differ("round", A)).mean).toBeGreaterThan(1);
    const round = await studio!.text(".view:not([hidden]) > div > .hint");
    // Another way needs decoding alone: nothing is pressed.
    await pick("way", "linear");
    await studio!.until((before) => document.querySelector(".view:not([hidden]) > div > .hint")!.textContent !== before, [round]);
    const straight = await differ("round", SHOWN);
    console.log(`${name}: halfway, round and straight differ by ${straight.mean.toFixed(2)} of 255 on average, ${straight.most} at most`);
    expect(straight.mean).toBeGreaterThan(0.2);
    const sizes = (text: string) => [...text.matchAll(/(\d\.\d\d) (?:at|halfway)/g)].map((found) => Number(found[1]));
    const straightly = sizes(await studio!.text(".view:not([hidden]) > div > .hint"));
    console.log(`${name}: sizes of the latents, straight ${straightly.join(", ")}, round ${sizes(round).join(", ")}`);
    expect(straightly[1]!).toBeLessThan(Math.min(straightly[0]!, straightly[2]!));
    expect(sizes(round)[1]!).toBeGreaterThanOrEqual(Math.min(sizes(round)[0]!, sizes(round)[2]!) - 0.01);
  });

  it("decodes what lies between the frames of the film, plays, and saves", async () => {
    const { page } = await open(`${QUICK}&mix.frames=5&mix.share=0.25`);
    await press("Mix");
    expect(await page.$$eval(".view:not([hidden]) .film canvas", (all) => all.length)).toBe(5);
    await remember(page, "quarter", SHOWN);
    await page.focus("#between-share");
    for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
    await reads(/^70 % A, 30 % B$/);
    const little = await differ("quarter", SHOWN);
    expect(little.most, "no frame of the film lies there").toBeGreaterThan(0);
    expect(little.mean).toBeLessThan((await differ("quarter", B)).mean);
    await studio!.until(() => location.hash.includes("mix.share=0.3"), []);
    // More frames between the same latents come by themselves.
    await studio!.fill("#between-frames", "11");
    await studio!.until(() => document.querySelectorAll(".view:not([hidden]) .film canvas").length === 11);
    await studio!.fill("#between-frames", "5");
    await studio!.until(() => document.querySelectorAll(".view:not([hidden]) .film canvas").length === 5);
    await studio!.press("Play");
    await reads(/^0 % A/);
    await studio!.press("Pause");
    const { name: file, file: bytes } = await studio!.saved("Save film as PNG");
    expect(file).toBe("lorelei-1-to-thumbs-2-film.png");
    const film = decode(bytes);
    const size = await page.$eval(strip(1), (canvas) => (canvas as HTMLCanvasElement).width);
    const gap = Math.round(size / 32);
    expect([film.width, film.height]).toEqual([5 * size + 4 * gap, size]);
    const corner = (i: number) => [...film.rgb.subarray(((size >> 1) * film.width + i * (size + gap) + (size >> 1)) * 3, ((size >> 1) * film.width + i * (size + gap) + (size >> 1)) * 3 + 3)];
    for (const i of [0, 4]) expect(corner(i)).toEqual(await studio!.colour(strip(i + 1), 0.5, 0.5));
    // The settings are in the file.
    expect(bytes.toString("latin1")).toMatch(/"mix":\{"mode":"between","aKind":"seed","aClass":"lorelei"/);
  });

  it("goes through the noise of two seeds: whole runs, whose first and last are those of the seeds", async () => {
    const { page } = await open(`${QUICK}&mix.frames=5`);
    await press("Mix");
    await remember(page, "latents", strip(3));
    await pick("target", "noise");
    await studio!.reads(".mix .facts", /press “Mix”/);
    await press("Mix");
    await share(0);
    await reads(/^100 % A/);
    const first = await differ(SHOWN, A);
    await share(1);
    await reads(/^0 % A/);
    const last = await differ(SHOWN, B);
    console.log(`${name}: the ends of the way through noise are ${first.most} and ${last.most} of 255 from the runs`);
    expect(Math.max(first.most, last.most)).toBeLessThanOrEqual(2);
    expect((await differ("latents", strip(3))).mean).toBeGreaterThan(2);
    // Of pictures there is no noise to mix.
    await pick("bKind", "picture");
    await studio!.page.select("#mix-b-sample", "lorelei");
    await studio!.press("Mix");
    expect(await alert()).toMatch(/^Noise can be mixed only where both pictures are made from a class and a seed\./);
  });

  it("exchanges tokens: none leaves the pictures as they are, all makes the one the other", async () => {
    const { page } = await open(QUICK);
    const [ofA, ofB] = [".pair figure:first-child .picture", ".pair figure:last-child .picture"];
    await pick("mode", "tokens");
    await press("Lay out the tokens");
    const count = async () => /^(\d+) of (\d+)/.exec(await studio!.text(".mix-tokens .caption"))!.slice(1).map(Number);
    const total = (await count())[1]!;
    await same(ofA, A);
    await same(ofB, B);
    await studio!.press("All");
    await same(ofA, B);
    await same(ofB, A);
    expect(await count()).toEqual([total, total]);
    await studio!.press("First half");
    expect(await count()).toEqual([total / 2, total]);
    await studio!.until((a, b) => document.querySelector<HTMLCanvasElement>(a)!.toDataURL() !== document.querySelector<HTMLCanvasElement>(b)!.toDataURL(), [ofA, B]);
    expect((await differ(ofA, A)).mean).toBeGreaterThan(0.5);
    await studio!.press("None");
    await same(ofA, A);
    // By keys: the first and the third.
    await page.focus(".cell input");
    await page.keyboard.press(" ");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press(" ");
    expect((await count())[0]).toBe(2);
    expect(await page.evaluate(() => document.activeElement!.getAttribute("aria-label"))).toMatch(/^Token 3, \d\.\d\d standard deviations apart$/);
    await studio!.until(() => location.hash.includes("mix.tokens=0%2C2"));
    // With the pointer, drawn over the fourth to the sixth, and one clicked away.
    await page.$eval(".cells", (cells) => cells.scrollIntoView({ block: "center" }));
    const middle = async (nth: number) => (await (await page.$(`.cell:nth-child(${nth})`))!.boundingBox())!;
    const at = async (nth: number) => middle(nth).then(({ x, y, width, height }) => [x + width / 2, y + height / 2] as const);
    await page.mouse.move(...(await at(4)));
    await page.mouse.down();
    await page.mouse.move(...(await at(5)));
    await page.mouse.move(...(await at(6)));
    await page.mouse.up();
    expect((await count())[0]).toBe(5);
    await page.click(".cell:nth-child(1)");
    expect(await page.$$eval(".cell input", (boxes) => boxes.flatMap((box, i) => ((box as HTMLInputElement).checked ? [i] : [])))).toEqual([2, 3, 4, 5]);
  });

  it("walks from class to class: the ends are the plain classes", async () => {
    const { page } = await open(`${QUICK}&mix.mode=walk&mix.frames=5&mix.aSeed=7`);
    expect(await press("Walk")).toMatch(/^5 runs in one batch/);
    await share(0);
    await reads(/^100 % Lorelei, 0 % Thumbs$/);
    await remember(page, "from", SHOWN);
    await share(1);
    await reads(/^0 % Lorelei/);
    await remember(page, "to", SHOWN);
    expect((await differ("from", "to")).mean).toBeGreaterThan(5);
    const middle = await differ(strip(3), strip(1));
    expect(middle.mean).toBeGreaterThan(0.5);
    for (const [end, name] of [["from", "lorelei"], ["to", "thumbs"]] as const) {
      await studio!.generate({ name, seed: "7", steps: 6, guidance: 2 });
      const { most } = await differ(end, ".stage .picture");
      console.log(`the walk's end ${name} is ${most} of 255 from the plain class`);
      expect(most).toBeLessThanOrEqual(2);
    }
  });

  it("edits: the less noise, the more is kept; with noise alone the picture is that of the class", async () => {
    const { page } = await open(`mix.mode=edit&mix.aClass=lorelei&mix.steps=10&mix.editClass=micah&mix.time=0.1&mix.aSeed=3`);
    const [original, noised, made] = [1, 2, 3].map((nth) => `.triple figure:nth-of-type(${nth}) .picture`) as [string, string, string];
    const findings = (text: string) => [/is ([0-9.]+) standard/, /PSNR ([0-9.]+) dB/].map((pattern) => Number(pattern.exec(text)![1]));
    const seen = [findings(await press("Edit"))];
    await same(original, A);
    const dissolved = [(await differ(original, noised)).mean];
    for (const time of [0.5, 1]) {
      // It follows the slider without a press.
      await studio!.fill("#edit-time", String(time));
      await studio!.reads(".triple figure:nth-of-type(2) figcaption", new RegExp(`t = ${time.toFixed(2)}`));
      seen.push(findings(await result()));
      dissolved.push((await differ(original, noised)).mean);
    }
    console.log(`${name}: edits at t = 0.1, 0.5, 1: ${seen.map(([apart, psnr]) => `${apart} standard deviations, ${psnr} dB`).join("; ")}; noised by ${dissolved.map((mean) => mean.toFixed(1)).join(", ")} of 255`);
    for (const i of [0, 1]) {
      expect(seen[i]![0]!).toBeLessThan(seen[i + 1]![0]!);
      expect(seen[i]![1]!).toBeGreaterThan(seen[i + 1]![1]!);
      expect(dissolved[i]!).toBeLessThan(dissolved[i + 1]!);
    }
    await remember(page, "made", made);
    await studio!.generate({ name: "micah", seed: "3", steps: 10, guidance: 2 });
    expect((await differ("made", ".stage .picture")).most).toBeLessThanOrEqual(2);
  });

  it("takes pictures on the side they are dropped on, by file and out of the gallery, and refuses what is none", async () => {
    const { page } = await open("mix.aKind=picture&mix.mode=between&mix.frames=3");
    // A link holds no pictures.
    await studio!.press("Mix");
    expect(await alert()).toBe("There is no picture A yet. Choose a file or one of the gallery’s. Links and saved settings hold no pictures of yours.");
    await studio!.dismiss();
    const file = pattern(64, 64);
    await studio!.give("drop", ".source:last-child .frame", { name: "mine.png", file });
    await studio!.reads(".source:last-child .file", /^mine\.png$/);
    expect(await page.$eval("input[name=mix-bKind][value=picture]", (input) => (input as HTMLInputElement).checked)).toBe(true);
    const input = (await page.$("#mix-a-file"))!;
    await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(fixture("pictures/cmyk.jpg"));
    await studio!.reads(".source:first-child .file", /^cmyk\.jpg$/);
    await press("Mix");
    await share(0);
    await same(SHOWN, A);
    await page.select("#mix-a-sample", "lorelei");
    await studio!.reads(".mix .facts", /have changed/);
    await remember(page, "cmyk", SHOWN);
    await press("Mix");
    expect((await differ("cmyk", SHOWN)).mean).toBeGreaterThan(2);
    // Not a picture: a sentence, and what was there stays.
    await studio!.give("drop", ".source:last-child .frame", { name: "bad.png", file: Buffer.from("no picture") });
    expect(await alert()).toMatch(/picture/i);
    await studio!.dismiss();
    expect(await studio!.text(".source:last-child .file")).toBe("mine.png");
    await press("Mix");
  });

  it("says what cannot be, and can be stopped", async () => {
    const { page } = await open("mix.aClass=dragon&mix.bSeed=99");
    expect(await alert()).toBe("This model has no class “dragon”; the usual one is chosen instead.");
    await studio!.dismiss();
    const wrong = async (field: string, value: string, words: RegExp) => {
      await studio!.fill(field, value);
      await studio!.press("Mix");
      expect(await alert()).toMatch(words);
      await studio!.dismiss();
    };
    await wrong("#mix-b-seed", "-1", /^The seed is “-1”, but/);
    await studio!.fill("#mix-b-seed", "5");
    await page.click(".mix .more summary");
    await wrong("#mix-steps", "1", /^Steps is 1, but it must be a whole number from 2 to 1000\./);
    await studio!.fill("#mix-steps", "1000");
    await wrong("#mix-guidance", "99", /^The guidance scale is 99, but/);
    await studio!.fill("#mix-guidance", "2");
    await studio!.press("Mix");
    await studio!.reads(".mix .task .words", /^Step \d/);
    await studio!.press("Stop");
    expect(await result()).toBe("Stopped.");
    await studio!.fill("#mix-steps", "3");
    expect(await press("Mix")).toMatch(/^9 pictures/);
    // Another setting makes the result an old one, and undo makes it the present one again.
    await page.select("#mix-b-class", "micah");
    await studio!.reads(".mix .facts", /^The settings have changed since/);
    expect(await page.$(".mix.outdated")).not.toBeNull();
    await page.click(".undo button:first-child");
    await studio!.appears(".mix:not(.outdated)");
  });
});

describe("looks of the mixing", () => {
  const folder = temporaryFolder();
  let browser: Browser;
  let server: TestServer;

  beforeAll(async () => {
    mkdirSync(SHOTS, { recursive: true });
    server = await TestServer.start();
    browser = await launch("chromium", folder);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  it.each([320, 768, 1280].flatMap((width) => (["light", "dark"] as const).map((mode) => ({ width, mode }))))("$width pixels wide, $mode", async ({ width, mode }) => {
    const lang = width === 320 && mode === "dark" ? "?lang=de" : "";
    const studio = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark", query: `${lang}#panel=mix&mix.aClass=lorelei&mix.bClass=micah&mix.editClass=open-peeps&mix.share=0.5&mix.tokens=0,1,2,3&mix.frames=9`, bare: true });
    await studio.ready("mix");
    const { page } = studio;
    const shot = async (name: string) => {
      await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await page.screenshot({ path: join(SHOTS, `mix-${name}-${width}-${mode}.png`), fullPage: true });
      expect(await page.evaluate(() => document.documentElement.scrollWidth), "no sideways scrolling").toBeLessThanOrEqual(width);
    };
    await shot("before");
    for (const mode of ["between", "tokens", "walk", "edit"]) {
      await page.$eval(`input[name=mix-mode][value=${mode}]`, (input) => (input as HTMLInputElement).click());
      await page.click(".mix .action .primary");
      await studio.appears(".mix .action .primary:not([hidden])");
      expect(await studio.text(".mix .work .alert")).toBe("");
      if (mode === "edit") await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
      await shot(mode);
    }
    await studio.close();
  });
});

/** The gallery's pictures are the model's thumbnails; without them the tests above have nothing to choose. */
it("the shipped model has thumbnails", () => {
  const { classes } = JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as { classes: { thumbnail?: string }[] };
  expect(classes.every(({ thumbnail }) => thumbnail)).toBe(true);
});
