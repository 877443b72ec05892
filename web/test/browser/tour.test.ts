/** The guided tour in Chromium and Firefox, walked with the keyboard alone; and that every panel says what is seen there. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, KeyInput } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));

describe.each<BrowserName>(["chromium", "firefox"])("the tour in %s", (name) => {
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
  const open = async (options?: OpenOptions) => {
    studio = await Studio.open(browser, server.origin, folder, options);
    await studio.appears("#tour:not(:disabled)");
    return studio;
  };
  const press = (key: KeyInput) => studio!.page.keyboard.press(key);
  const focused = () => studio!.page.evaluate(() => `${document.activeElement?.id || document.activeElement?.textContent || document.activeElement?.tagName}`);
  const ringed = () => studio!.page.$$eval(".tour-target", (found) => found.map((element) => ({ panel: element.closest("[role=tabpanel]")?.id ?? "", inView: element.getBoundingClientRect().top < innerHeight && element.getBoundingClientRect().bottom > 0 })));
  const arrived = (at: number, of: number) => studio!.reads(".tour-place", new RegExp(`^Stop ${at} of ${of}$`));

  it("begins only when asked, goes through every stop with the keys, and gives the focus back", async () => {
    const { page } = await open();
    expect(await page.$(".tour")).toBeNull();
    expect(server.requests.some((path) => /\/tour-[^/]*\.js$/.test(path)), "nothing of it is loaded before").toBe(false);
    await page.focus("#tour");
    await press("Enter");
    await studio!.appears(".tour[open]");
    await studio!.until(() => document.activeElement?.id === "tour-title");
    const of = Number(/of (\d)/.exec(await studio!.text(".tour-place"))![1]);
    expect(of).toBeGreaterThanOrEqual(4);
    const titles = new Set<string>();
    for (let at = 1; at <= of; at++) {
      await arrived(at, of);
      titles.add(await studio!.text("#tour-title"));
      // What is ringed is on the panel that is shown, and to be seen.
      await studio!.appears(".tour-target:not(h2)");
      const shown = await studio!.shown();
      await studio!.until(() => {
        const target = document.querySelector(".tour-target");
        const { top, bottom } = target?.getBoundingClientRect() ?? { top: -1, bottom: -1 };
        return top >= 0 && bottom > 0 && top < innerHeight;
      });
      for (const { panel } of await ringed()) expect(panel).toBe(`panel-${shown}`);
      // To the control and back.
      await press("F6");
      expect(await page.evaluate(() => document.activeElement!.closest(".tour-target") !== null), await focused()).toBe(true);
      await press("F6");
      expect(await focused()).toBe("tour-title");
      // The window does not lie on what it speaks of.
      const apart = await page.evaluate(() => {
        const a = document.querySelector(".tour")!.getBoundingClientRect();
        const b = document.querySelector(".tour-target")!.getBoundingClientRect();
        return b.right <= a.left || b.left >= a.right || b.top < a.top;
      });
      expect(apart).toBe(true);
      if (at < of) await press("ArrowRight");
    }
    expect(titles.size).toBe(of);
    await press("ArrowRight");
    await arrived(of, of);
    for (let at = of; at > 1; at--) {
      await arrived(at, of);
      await press("ArrowLeft");
    }
    await arrived(1, of);
    expect(await studio!.shown()).toBe("generate");
    await press("Escape");
    expect(await page.$(".tour")).toBeNull();
    expect(await page.$(".tour-target")).toBeNull();
    expect(await focused()).toBe("tour");
    expect(await studio!.text("[role=status].visually-hidden")).toMatch(/^The tour is over/);
    // It is remembered, and does not begin by itself.
    await page.reload();
    await studio!.appears("#tour.seen:not(:disabled)");
    expect(await page.$(".tour")).toBeNull();
  });

  it("lets people use what it speaks of, and moves on with them", async () => {
    const { page } = await open();
    await page.click("#tour");
    await studio!.appears(".tour[open]");
    await studio!.until(() => document.querySelector(".tour-target")?.textContent === "Generate");
    await studio!.fill("#steps", "2");
    // The real button, ringed as it is.
    await press("F6");
    await press("Enter");
    expect(await studio!.finished()).toMatch(/^Done/);
    expect(await page.$(".tour[open]")).not.toBeNull();
    await studio!.press("Next");
    await arrived(2, 5).catch(() => {});
    await page.focus("#guidance");
    await press("ArrowRight");
    expect(await page.$eval("#guidance", (input) => (input as HTMLInputElement).value)).toBe("2.1");
    expect(await studio!.text(".tour-place"), "arrow keys are the tour's in its window alone").toMatch(/^Stop 2/);
    // Whoever is at a control stays there when the tour ends.
    await press("Escape");
    expect(await page.$(".tour")).toBeNull();
    expect(await focused()).toBe("guidance");
  });

  it("is a dialog with a name, live, and its last button ends it", async () => {
    const { page } = await open({ query: "?lang=de" });
    await page.click("#tour");
    await studio!.appears(".tour[open]");
    const facts = await page.$eval(".tour", (tour) => ({
      tag: tour.tagName,
      name: document.getElementById(tour.getAttribute("aria-labelledby")!)!.textContent,
      live: tour.querySelector("[aria-live=polite]")!.contains(document.getElementById("tour-title")),
      modal: tour.matches(":modal"),
    }));
    expect(facts).toEqual({ tag: "DIALOG", name: "Aus Rauschen wird ein Bild", live: true, modal: false });
    for (;;) {
      const [label] = await page.$$eval(".tour .buttons button:last-child", (found) => found.map((button) => button.textContent));
      await page.click(".tour .buttons button:last-child");
      if (label === "Fertig") break;
    }
    expect(await page.$(".tour")).toBeNull();
    expect(await focused()).toBe("tour");
  });

  it("says in a sentence that its code does not arrive, and works without storage", async () => {
    await open();
    server.instead.push({ path: /\/tour-[^/]*\.js$/, status: 404, type: "text/javascript", body: "no" });
    await studio!.page.click("#tour");
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(/^The tour could not be loaded\./);
    studio!.complaints.length = 0;
    server.reset();
    await studio!.page.reload();
    await studio!.appears("#tour:not(:disabled)");
    await studio!.page.evaluate(() => {
      const refuse = () => {
        throw new DOMException("no", "SecurityError");
      };
      Storage.prototype.setItem = refuse;
      Storage.prototype.getItem = refuse;
    });
    await studio!.page.click("#tour");
    await studio!.appears(".tour[open]");
    await press("Escape");
    expect(await studio!.page.$(".tour")).toBeNull();
  });

  it("every panel explains what is seen there, with a formula and the paper", async () => {
    const { page } = await open();
    const panels = await page.$$eval("[role=tab]", (tabs) => tabs.map((tab) => tab.id.replace("tab-", "")));
    for (const panel of panels) {
      await page.click(`#tab-${panel}`);
      await studio!.appears(`#panel-${panel}:not([hidden]) .card:not(.skeleton)`);
      const found = await page.$eval(`#panel-${panel}`, (element) => {
        const details = element.querySelector("details.explain");
        return {
          summary: details?.querySelector("summary")?.textContent,
          formulas: details?.querySelectorAll("math").length ?? 0,
          broken: [...(details?.querySelectorAll("math") ?? [])].filter((math) => math.children.length === 0).length,
          papers: [...(details?.querySelectorAll("a") ?? [])].map((link) => link.href),
          sections: /section \d/.test(details?.textContent ?? ""),
        };
      });
      // What the machine is has no formula.
      if (panel === "machine") continue;
      expect(found, panel).toMatchObject({ summary: "What am I seeing?", broken: 0, sections: true });
      expect(found.formulas, panel).toBeGreaterThan(0);
      expect(found.papers.some((link) => /^https:\/\/arxiv\.org\/abs\/(2502\.03444|2401\.08740)$/.test(link)), panel).toBe(true);
    }
  });
});

describe("looks", () => {
  it.each([320, 768, 1280].flatMap((width) => ["light", "dark"].map((mode) => [width, mode] as const)))("%d pixels wide, %s", async (width, mode) => {
    mkdirSync(SHOTS, { recursive: true });
    const folder = temporaryFolder();
    const server = await TestServer.start();
    const browser = await launch("chromium", folder);
    try {
      const studio = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark", query: width === 768 ? "?lang=de" : "" });
      const { page } = studio;
      await page.emulateMediaFeatures([
        { name: "prefers-color-scheme", value: mode },
        { name: "prefers-reduced-motion", value: "reduce" },
      ]);
      await studio.appears("#tour:not(:disabled)");
      await page.click("#tour");
      await studio.appears(".tour[open]");
      for (let at = 1; at <= 5; at++) {
        await studio.appears(".tour-target");
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        writeFileSync(join(SHOTS, `tour-${at}-${width}-${mode}.png`), await page.screenshot());
        expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
        await page.keyboard.press("ArrowRight");
      }
      await studio.close();
    } finally {
      await browser.close();
      await server.stop();
    }
  });
});
