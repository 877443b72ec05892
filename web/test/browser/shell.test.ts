/** What is around the panels, in Chromium and Firefox: tabs, the address, undo, the language. */

import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { pattern } from "./png.ts";
import { TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, type PanelName, PANELS, Studio, temporaryFolder } from "./studio.ts";

describe.each<BrowserName>(["chromium", "firefox"])("the shell in %s", (name) => {
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
  const open = async (options?: OpenOptions) => (studio = await Studio.open(browser, server.origin, folder, options));
  const hash = () => studio!.page.evaluate(() => location.hash);
  const hashIs = (want: string) => studio!.until((want) => location.hash === want, [want], 10_000);
  const value = (selector: string) => studio!.page.$eval(selector, (input) => (input as HTMLInputElement).value);
  const valueIs = (selector: string, want: string) => studio!.until((selector, want) => document.querySelector<HTMLInputElement>(selector)?.value === want, [selector, want], 10_000);
  const tabs = () =>
    studio!.page.$$eval("[role=tab]", (found) =>
      found.map((tab) => ({ selected: tab.getAttribute("aria-selected"), stop: (tab as HTMLElement).tabIndex, panel: !document.getElementById(tab.getAttribute("aria-controls")!)!.hidden })),
    );

  /** How large each element of a panel is and what it looks like, as far as rules of other panels could change it. */
  const looks = (where: Studio, panel: PanelName) =>
    where.page.$$eval(`#panel-${panel} *`, (found) =>
      found.filter((element) => element.checkVisibility()).map((element) => {
        const { width, height } = element.getBoundingClientRect();
        const { color, backgroundColor, borderTopWidth, fontSize, fontWeight, display } = getComputedStyle(element);
        return `${element.localName}.${element.className} ${Math.round(width)}×${Math.round(height)} ${[color, backgroundColor, borderTopWidth, fontSize, fontWeight, display].join(" ")}`;
      }),
    );

  it("shows each panel as it is by itself, whichever were opened before it", async () => {
    const names = Object.keys(PANELS) as PanelName[];
    await open();
    for (const panel of names) await studio!.show(panel);
    for (const panel of names) {
      await studio!.show(panel);
      const alone = await Studio.open(browser, server.origin, folder, { panel });
      try {
        // Some of what is shown is found out in a moment.
        const both = async () => Promise.all([looks(studio!, panel), looks(alone, panel)]);
        for (let tries = 0; tries < 50; tries++) {
          const [after, fresh] = await both();
          if (after.join() === fresh.join()) break;
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        const [after, fresh] = await both();
        expect(after, panel).toEqual(fresh);
      } finally {
        await alone.close();
      }
    }
  });

  it("shows one panel at a time, chosen with the mouse or the keyboard", async () => {
    const { page } = await open();
    const on = { selected: "true", stop: 0, panel: true };
    const off = { selected: "false", stop: -1, panel: false };
    // Whatever else there is.
    const others = (await tabs()).slice(2).map(() => off);
    expect(await tabs()).toEqual([on, off, ...others]);
    expect(await hash(), "an address that nobody touched stays as it is").toBe("");
    expect(server.requests.some((path) => /\/reconstruct-[^/]*\.js$/.test(path)), "a panel is loaded when it is wanted").toBe(false);
    await page.click("#tab-reconstruct");
    await studio!.appears("#picture");
    expect(await tabs()).toEqual([off, on, ...others]);
    expect(await hash()).toBe("#panel=reconstruct");
    expect(await page.$eval("#panel-reconstruct", (panel) => document.getElementById(panel.getAttribute("aria-labelledby")!)!.textContent)).toBe("Reconstruct");
    const press = async (key: "ArrowLeft" | "ArrowRight" | "Home" | "End") => {
      await page.keyboard.press(key);
      return page.evaluate(() => document.activeElement!.id);
    };
    const last = await page.$$eval("[role=tab]", (found) => found.at(-1)!.id);
    expect(await press("ArrowLeft")).toBe("tab-generate");
    expect(await press("ArrowLeft"), "around the end").toBe(last);
    expect(await press("ArrowRight"), "and back").toBe("tab-generate");
    expect(await tabs()).toEqual([on, off, ...others]);
    expect(await press("End")).toBe(last);
    expect(await press("Home")).toBe("tab-generate");
    expect(await press("ArrowRight")).toBe("tab-reconstruct");
    expect(await tabs()).toEqual([off, on, ...others]);
  });

  it("goes back and forward through the panels, each with the settings it had", async () => {
    const { page } = await open();
    await studio!.fill("#steps", "40");
    await hashIs("#panel=generate&generate.steps=40");
    await studio!.show("reconstruct");
    expect(await hash()).toBe("#panel=reconstruct&generate.steps=40");
    await page.goBack();
    await studio!.appears("#panel-generate:not([hidden])");
    expect([await hash(), await value("#steps")]).toEqual(["#panel=generate&generate.steps=40", "40"]);
    await page.goForward();
    await studio!.appears("#panel-reconstruct:not([hidden])");
    expect(await hash()).toBe("#panel=reconstruct&generate.steps=40");
    await page.reload();
    await studio!.ready("reconstruct");
    expect(await studio!.shown()).toBe("reconstruct");
  });

  it("writes what is set into the address just before it is left for another panel", async () => {
    const { page } = await open();
    await studio!.fill("#steps", "41");
    await studio!.show("reconstruct");
    await page.goBack();
    await hashIs("#panel=generate&generate.steps=41");
    expect(await value("#steps")).toBe("41");
  });

  it("opens a link with its settings, and one that is pasted into the page that is there", async () => {
    const { page } = await open({ query: "#panel=generate&generate.class=lorelei&generate.seed=18446744073709551615&generate.steps=3&generate.guidance=12.5&generate.sampler=heun" });
    const form = async () => [await value("input[name=class]:checked"), await value("#seed"), await value("#steps"), await value("#guidance"), await value("#sampler")];
    expect(await form()).toEqual(["lorelei", "18446744073709551615", "3", "12.5", "heun"]);
    expect(await studio!.text("output[for=guidance]")).toBe("12.5");
    await page.evaluate(() => (location.hash = "#panel=generate&generate.class=micah&generate.steps=4"));
    await valueIs("#steps", "4");
    expect(await form()).toEqual(["micah", "1", "4", "2", "euler"]);
    expect(await studio!.generate({})).toMatch(/^Done/);
    expect((await studio!.saved("Save as PNG")).name).toBe("micah-seed1-4steps-guidance2.png");
    // What the link replaced is not lost.
    await page.click("[aria-label^=Undo]");
    expect(await form()).toEqual(["lorelei", "18446744073709551615", "3", "12.5", "heun"]);
  });

  it("survives a hostile link: the usual settings, one sentence, and the page works", async () => {
    await open({ query: `#generate.steps=1e99&generate.class=<img src=x onerror=alert(1)>&panel=../..&x=${"9".repeat(100_000)}` });
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    expect(sentence).toBe("A part of this link cannot be used and was left out: x, panel, generate.class, generate.steps. The settings it spoke of are the usual ones.");
    expect([await value("#steps"), await studio!.shown(), await hash()]).toEqual(["25", "generate", "#panel=generate"]);
    expect(await studio!.page.$$("img[src=x]")).toEqual([]);
    await studio!.dismiss();
    expect(await studio!.generate({ steps: 1 })).toMatch(/^Done/);
    // The same into the page that is open.
    await studio!.page.evaluate(() => (location.hash = "#generate.steps=0&<b>=1"));
    expect(await studio!.nextAlert()).toMatch(/^A part of this link cannot be used and was left out: <b>, generate\.steps\./);
    expect(await studio!.page.$$("b")).toEqual([]);
    expect(await value("#steps")).toBe("25");
  });

  it("says of a class that the model does not have that it has none", async () => {
    await open({ query: "#generate.class=dragon" });
    expect(await studio!.nextAlert()).toBe("This model has no class “dragon”; its first one is chosen instead.");
    expect(await studio!.generate({ steps: 1 })).toMatch(/^Done/);
  });

  it("takes changes of settings back, by button and by keys, but not while somebody types", async () => {
    const { page } = await open();
    const usable = () => page.$$eval(".undo button", (found) => found.map((button) => !button.disabled));
    expect(await usable()).toEqual([false, false]);
    const first = await value("input[name=class]:checked");
    await studio!.choose("lorelei");
    await studio!.fill("#guidance", "7");
    expect(await usable()).toEqual([true, false]);
    const keys = async (shift = false) => {
      await page.keyboard.down("Control");
      if (shift) await page.keyboard.down("Shift");
      await page.keyboard.press("z");
      if (shift) await page.keyboard.up("Shift");
      await page.keyboard.up("Control");
    };
    await page.focus("#guidance");
    await keys();
    expect([await value("#guidance"), await studio!.text("output[for=guidance]")]).toEqual(["2", "2.0"]);
    await keys();
    expect(await value("input[name=class]:checked")).toBe(first);
    expect(await usable()).toEqual([false, true]);
    await keys(true);
    await keys(true);
    expect([await value("input[name=class]:checked"), await value("#guidance")]).toEqual(["lorelei", "7"]);
    // In another panel the change is taken back where it was made.
    await studio!.show("reconstruct");
    await page.click(".undo button");
    await studio!.appears("#panel-generate:not([hidden])");
    expect(await value("#guidance")).toBe("2");
    // In a field of text the keys are the browser's.
    await page.focus("#seed");
    await keys();
    expect(await value("input[name=class]:checked")).toBe("lorelei");
    await hashIs("#panel=generate&generate.class=lorelei");
    // The button that has nothing left to do hands the focus on.
    await page.focus(".undo button");
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement!.getAttribute("aria-label"))).toBe("Redo the change");
  });

  it("takes a picture in any panel, and shows where it is worked on", async () => {
    await open();
    expect(await studio!.give("drop", ".stage", { name: "mine.png", file: pattern(80, 80) })).toEqual({ over: true, given: true });
    expect((await studio!.scores()).psnr).toBeGreaterThan(3);
    expect(await studio!.shown()).toBe("reconstruct");
  });

  it("a panel whose code does not arrive says so, and comes when it can", async () => {
    await open();
    server.instead.push({ path: /\/reconstruct-[^/]*\.js$/, status: 404, type: "text/javascript", body: "no" });
    await studio!.page.click("#tab-reconstruct");
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(/^This part of the page could not be loaded\./);
    server.reset();
    // Some browsers remember the failure as long as the page is open, which the advice allows for.
    await studio!.page.reload();
    await studio!.ready("reconstruct");
    studio!.complaints.length = 0;
  });

  it.each(["?lang=en", "?lang=de"])("fits a phone, with tabs that can be reached: %s", async (query) => {
    const { page } = await open({ width: 320, query });
    await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
    await studio!.show("reconstruct");
    await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
    expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
    const { left, right } = await page.$eval("#tab-reconstruct", (tab) => tab.getBoundingClientRect().toJSON() as { left: number; right: number });
    expect([left >= 0, right <= 320]).toEqual([true, true]);
  });

  describe("in German", () => {
    /** Every line a person can read or hear, of everything there is, but for figures and names. */
    const lines = () =>
      studio!.page.evaluate(() => {
        const found = new Set<string>();
        const attributes = ["aria-label", "title", "aria-valuetext", "alt"];
        const add = (text: string | null) => {
          const line = text?.replace(/\s+/g, " ").trim() ?? "";
          if (/\p{L}{2}/u.test(line)) found.add(line);
        };
        const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          const parent = node.parentElement;
          if (node instanceof Element) for (const name of attributes) add(node.getAttribute(name));
          // Some names of limits may be broken in the middle.
          else if (parent?.matches("th")) add(parent.textContent);
          // Formulas are the same in every language; languages are called by their own names.
          else if (!parent?.closest("script, style, math, a, code, option[lang]")) add(node.textContent);
        }
        return [...found];
      });
    /** The page after everything in it has been used. */
    const everything = async (query: string, go: string) => {
      await open({ query });
      const { page } = studio!;
      await studio!.give("drop", "body", { link: "https://example.org/" });
      await studio!.fill("#steps", "3");
      await studio!.press(go);
      await studio!.finished();
      await studio!.fill("#seed", "x");
      await studio!.press(go);
      await studio!.give("drop", "body", { name: "mine.png", file: pattern(80, 80) });
      await studio!.appears(".result:not([hidden])");
      expect(await page.evaluate(() => document.documentElement.lang)).toBe(query.includes("de") ? "de" : "en");
      const read = await lines();
      expect(studio!.complaints).toEqual([]);
      await studio!.close();
      studio = undefined;
      return read;
    };

    /** Chooses from the list, which loads the page anew. */
    const choose = (tag: string) => Promise.all([studio!.page.waitForNavigation(), studio!.page.select("#language", tag)]);

    it("says everything in German", async () => {
      const english = await everything("?lang=en", "Generate");
      const german = await everything("?lang=de", "Bild erzeugen");
      expect(english.length).toBeGreaterThan(80);
      expect(Math.abs(german.length - english.length)).toBeLessThan(8);
      // Names of people, works, things and classes, and what a browser calls its own.
      const names = /^(MAETok|SiT|CPU|WebGPU \(navigator\.gpu\)|WebAssembly SIMD|max[A-Z]\w+|arXiv.*|(Ma|Chen) et al\. 2\d{3}, (SiT|MAETok)|Ho, Salimans.*|Kynkäänniemi et al\..*|; SSIM: .*|Croodles|Lorelei|Micah|Miniavs|Notionists|Open Peeps|Personas|Smileys|[\d.,]+ (ms|s|dB|px|[KM]iB))$/;
      expect(german.filter((line) => english.includes(line) && !names.test(line))).toEqual([]);
      expect(german.filter((line) => /\b(the|and|with|your|of|picture|steps?)\b/i.test(line))).toEqual([]);
    });

    it("is chosen from the list, remembered, and keeps the settings", async () => {
      const { page } = await open({ query: "#generate.steps=7" });
      expect(await page.$$eval("#language option", (found) => found.map((option) => option.textContent))).toEqual(["English", "Deutsch"]);
      expect(server.requests.filter((path) => /\/de-[^/]*\.js$/.test(path)), "only those who read German load it").toEqual([]);
      await choose("de");
      await studio!.reads("h2", /^Zusehen, wie/);
      await studio!.ready();
      expect([await page.evaluate(() => document.documentElement.lang), await page.title(), await value("#steps")]).toEqual(["de", "MAETok: zusehen, wie aus Rauschen ein Bild wird", "7"]);
      expect(await studio!.text("output[for=guidance]")).toBe("2,0");
      await page.reload();
      await studio!.reads("h2", /^Zusehen, wie/);
      await choose("en");
      await studio!.reads("h2", /^Watch noise/);
      expect(await page.evaluate(() => document.documentElement.lang)).toBe("en");
    });

    it("is chosen by the address against what is remembered, and an unknown one is English", async () => {
      await open({ query: "?lang=de-CH" });
      expect(await studio!.page.evaluate(() => document.documentElement.lang)).toBe("de");
      await choose("en");
      await studio!.until(() => location.search === "?lang=en" && document.documentElement.lang === "en");
      await studio!.close();
      studio = undefined;
      await open({ query: "?lang=tlh" });
      expect(await studio!.page.evaluate(() => document.documentElement.lang)).toBe("en");
    });
  });
});
