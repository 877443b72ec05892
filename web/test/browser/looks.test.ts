/**
 * What the page looks like, and how long the first picture takes. The pictures go to `screenshots/` to be looked at;
 * with UPDATE_SCREENSHOT=1 one of them becomes the README's.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { pattern } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));
const README = fileURLToPath(new URL("../../../assets/screenshots/page.png", import.meta.url));

/** Something to reconstruct: a thumbnail, which the model ought to manage, or else a pattern. */
function ownPicture(folder: string): string {
  const { classes } = JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as { classes: { thumbnail?: string }[] };
  const thumbnail = classes.find((entry) => entry.thumbnail)?.thumbnail;
  if (thumbnail) return join(MODEL, thumbnail);
  const path = join(folder, "picture.png");
  writeFileSync(path, pattern(64, 64));
  return path;
}

describe("looks", () => {
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

  describe.each([320, 1280])("%d pixels wide", (width) => {
    it.each(["light", "dark"])("%s", async (mode) => {
      const studio = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark" });
      const { page } = studio;
      const shot = async (name: string) => {
        await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
        await page.screenshot({ path: join(SHOTS, `${name}-${width}-${mode}.png`), fullPage: true });
      };
      // Thumbnails below the window's edge load when they come into view.
      await page.$$eval("img", (images) => images.forEach((image) => (image.loading = "eager")));
      await shot("before");
      await studio.fill("#steps", "1000");
      await studio.press("Generate");
      await studio.reads(".caption", /Guess at step \d\d/);
      await shot("during");
      await studio.press("Stop");
      await studio.finished();
      await studio.generate({ ...(await page.$("input[value=lorelei]")) && { name: "lorelei" }, steps: 25 });
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await page.mouse.move(0, 0);
      await shot("after");
      if (width === 1280 && mode === "light" && process.env.UPDATE_SCREENSHOT === "1") {
        mkdirSync(join(README, ".."), { recursive: true });
        const card = await page.$(".card");
        const box = (await card!.boundingBox())!;
        const height = Math.ceil(box.y + box.height + 20);
        await page.screenshot({ path: README as `${string}.png`, clip: { x: 0, y: 0, width, height }, captureBeyondViewport: true });
      }
      await studio.fill("#steps", "0");
      await studio.press("Generate");
      await studio.nextAlert();
      await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
      await shot("everything");
      await page.$$eval("details", (found) => found.forEach((details) => (details.open = false)));
      await studio.upload(ownPicture(folder));
      await studio.scores();
      await shot("reconstructed");
      await studio.close();
      const german = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark", query: "?lang=de" });
      await german.page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
      await german.page.screenshot({ path: join(SHOTS, `german-${width}-${mode}.png`), fullPage: true });
      await german.close();
    });
  });
});

describe("time to the first picture, from the click to the finished picture of 25 steps", () => {
  it.each<BrowserName>(["chromium", "firefox"])("%s, cold and warm", async (name) => {
    const folder = temporaryFolder();
    const server = await TestServer.start();
    const browser = await launch(name, folder);
    try {
      const studio = await Studio.open(browser, server.origin, folder);
      const time = async () => {
        const began = performance.now();
        const facts = await studio.generate({ steps: 25 });
        return { ms: Math.round(performance.now() - began), facts };
      };
      const weights = () => server.requests.filter((path) => path.endsWith(".safetensors")).length;
      const cold = await time();
      const needed = weights();
      await studio.page.reload();
      await studio.ready();
      const warm = await time();
      expect([needed, weights()], "the second visit asks for no weights").toEqual([2, 2]);
      server.requests.length = 0;
      const again = await time();
      expect(server.requests, "what is loaded is not asked for again").toEqual([]);
      console.log(`${name}, first picture on the CPU path: cold ${cold.ms} ms, warm ${warm.ms} ms, engine running ${again.ms} ms.\n  cold: ${cold.facts}\n  warm: ${warm.facts}\n  running: ${again.facts}`);
      expect([cold.facts, warm.facts, again.facts].every((facts) => facts.startsWith("Done"))).toBe(true);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
