/**
 * What the page looks like, and how long the first picture takes. The pictures go to `screenshots/` to be looked at;
 * with UPDATE_SCREENSHOT=1 one of them becomes the README's.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { pattern } from "./png.ts";
import { TestServer } from "./server.ts";
import { Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));
const README = fileURLToPath(new URL("../../../assets/screenshots/page.png", import.meta.url));

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
      await page.waitForFunction(() => /Guess at step \d\d/.test(document.querySelector(".caption")?.textContent ?? ""), { timeout: 60_000 });
      await shot("during");
      await studio.press("Stop");
      await studio.finished();
      await studio.generate({ steps: 25 });
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await page.mouse.move(0, 0);
      await shot("after");
      if (width === 1280 && mode === "light" && process.env.UPDATE_SCREENSHOT === "1") {
        mkdirSync(join(README, ".."), { recursive: true });
        const card = await page.$(".card");
        const box = (await card!.boundingBox())!;
        await page.screenshot({ path: README as `${string}.png`, clip: { x: 0, y: 0, width, height: Math.ceil(box.y + box.height + 20) }, fullPage: true });
      }
      const picture = join(folder, "picture.png");
      writeFileSync(picture, pattern(64, 64));
      await studio.upload(picture);
      await studio.scores();
      await studio.fill("#steps", "0");
      await studio.press("Generate");
      await studio.nextAlert();
      await page.$eval(".machine details", (details) => ((details as HTMLDetailsElement).open = true));
      await shot("everything");
      await studio.close();
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
      const cold = await time();
      await studio.page.reload();
      await studio.page.waitForSelector(".classes input");
      const warm = await time();
      const again = await time();
      console.log(`${name}, first picture on the CPU path: cold ${cold.ms} ms, warm ${warm.ms} ms, engine running ${again.ms} ms.\n  cold: ${cold.facts}\n  warm: ${warm.facts}\n  running: ${again.facts}`);
      expect(cold.facts).toMatch(/^Done/);
      expect(cold.ms, "a person waits a minute at most, even here").toBeLessThan(60_000);
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
