/**
 * The manners of the page that can be measured: nothing that a tool for accessibility finds, every control within reach of
 * the keyboard, a strict policy that nothing offends, small, quick to be there, and never in the way of a person's hands.
 */

import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { DIST, TestServer } from "./server.ts";
import { Studio, temporaryFolder } from "./studio.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Our code's share of a moment in which the page cannot answer, in milliseconds. */
const LONGEST = 50;

/**
 * All JavaScript of the page together, compressed with Brotli: the page, every panel, both languages, the workers. What
 * wasm-bindgen writes beside the wasm file belongs to it, and is told but not counted.
 */
const MOST_SCRIPT = 150_000;

/** On an idle machine it is under 1 s; tests share theirs. */
const FIRST_PAINT = 1000;
const MARGIN = 4;

/** Asks axe for what offends. The page's policy forbids a script in it, so it is told to look away: for the tool alone. */
async function offences(page: Page): Promise<string[]> {
  const found = await page.evaluate(
    async (tags) => {
      const { axe } = globalThis as unknown as { axe: { run(context: Document, options: object): Promise<AxeResults> } };
      return (await axe.run(document, { runOnly: tags, resultTypes: ["violations"] })).violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ target, failureSummary }) => `${target.join(" ")} (${failureSummary})`).join("; ")}`);
    },
    TAGS,
  );
  return found;
}

describe.each<BrowserName>(["chromium", "firefox"])("the manners of the page in %s", (name) => {
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
  /** Names of the panels, whichever there are. */
  const panels = () => studio!.page.$$eval("[role=tab]", (tabs) => tabs.map((tab) => tab.id.replace("tab-", "")));
  /** Shows a panel of which nothing is known but its name. */
  const turn = async (panel: string) => {
    await studio!.page.evaluate((panel) => document.getElementById(`tab-${panel}`)!.click(), panel);
    await studio!.until((panel) => document.querySelector(`#panel-${panel}:not([hidden]) .card:not(.skeleton)`) !== null, [panel]);
  };

  const modes = name === "chromium" ? (["light", "dark"] as const) : (["light"] as const);
  it.each(modes.flatMap((mode) => [320, 1280].map((width) => [mode, width] as const)))("offend no rule of WCAG 2.2 AA: %s, %d pixels wide", async (mode, width) => {
    studio = await Studio.open(browser, server.origin, folder, { width, ...(name === "chromium" && { dark: mode === "dark" }) });
    const { page } = studio;
    await page.evaluate(AXE);
    await studio.generate({ steps: 2 });
    for (const panel of await panels()) {
      await turn(panel);
      await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
      expect(await offences(page), panel).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), `${panel} scrolls sideways`).toBeLessThanOrEqual(width);
    }
  });

  it("lets the keyboard reach every control of every panel, and shows where it is", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    const { page } = studio;
    await studio.generate({ steps: 2 });
    for (const panel of await panels()) {
      await turn(panel);
      // A group of radio buttons and the row of tabs are one stop each, whose arrows reach the rest.
      const wanted = await page.evaluate(() => {
        const controls = [...document.querySelectorAll<HTMLElement>("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter(
          (one) => one.checkVisibility({ visibilityProperty: true }) && !one.matches(":disabled, [tabindex='-1']") && !(one instanceof HTMLInputElement && one.type === "radio" && !one.checked),
        );
        controls.forEach((control, i) => (control.dataset.stop = String(i)));
        (document.activeElement as HTMLElement | null)?.blur();
        return controls.map((one) => one.outerHTML.slice(0, 100));
      });
      const reached = new Set<number>();
      const unseen: string[] = [];
      // Back to the beginning, wherever the focus was before.
      await page.evaluate(() => {
        document.body.tabIndex = -1;
        document.body.focus();
        document.body.removeAttribute("tabindex");
        scrollTo(0, 0);
      });
      for (let presses = 0; presses < wanted.length + 20 && reached.size < wanted.length; presses++) {
        await page.keyboard.press("Tab");
        const { stop, seen, html } = await page.evaluate(() => {
          const at = document.activeElement as HTMLElement;
          // Some show it on what stands for them: a label, a card.
          const shows = [at, at.parentElement, ...(at.parentElement?.children ?? [])].some((one) => one !== null && getComputedStyle(one).outlineStyle !== "none" && Number.parseFloat(getComputedStyle(one).outlineWidth) >= 2);
          return { stop: at.dataset.stop ?? null, seen: shows, html: at.outerHTML.slice(0, 100) };
        });
        if (stop === null) continue;
        reached.add(Number(stop));
        if (!seen) unseen.push(html);
      }
      expect(wanted.filter((_, i) => !reached.has(i)), `${panel}: out of reach`).toEqual([]);
      expect(unseen, `${panel}: no sign of the focus`).toEqual([]);
      await page.evaluate(() => document.querySelectorAll<HTMLElement>("[data-stop]").forEach((one) => delete one.dataset.stop));
    }
  });

  it("asks nobody but its own server for anything, and does nothing its policy forbids", async () => {
    studio = await Studio.open(browser, server.origin, folder, { bare: true });
    const { page } = studio;
    await page.evaluateOnNewDocument(() => {
      const refused: string[] = [];
      Object.assign(globalThis, { refused });
      document.addEventListener("securitypolicyviolation", (event) => refused.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    await page.reload();
    await studio.ready();
    await studio.generate({ steps: 3 });
    await studio.saved("Save as PNG");
    for (const panel of await panels()) await turn(panel);
    expect(await page.evaluate(() => (globalThis as unknown as { refused: string[] }).refused)).toEqual([]);
    expect(await page.$$eval("[style]", (found) => found.map((one) => one.outerHTML.slice(0, 100))), "no inline styles").toEqual([]);
    expect(studio.foreign).toEqual([]);
    expect(studio.complaints).toEqual([]);
  });

  it("paints at once, and can be used before any weight is asked for", async () => {
    studio = await Studio.open(browser, server.origin, folder);
    const { page } = studio;
    const paint = await page.evaluate(() => performance.getEntriesByType("paint").find(({ name }) => name === "first-contentful-paint")?.startTime ?? null);
    await studio.fill("#steps", "12");
    await studio.until(() => location.hash.includes("generate.steps=12"));
    const large = server.requests.filter((path) => /wasm$|safetensors$/.test(path));
    expect(large).toEqual([]);
    console.log(`${name}: first contentful paint after ${paint?.toFixed(0)} ms; usable with ${server.requests.length} requests and none of them large.`);
    expect(paint).toBeLessThan(FIRST_PAINT * MARGIN);
  });

  if (name === "chromium") {
    it("moves nothing where less motion is asked for", async () => {
      studio = await Studio.open(browser, server.origin, folder, { bare: true });
      const { page } = studio;
      await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
      await page.reload();
      await studio.ready();
      await studio.generate({ steps: 2 });
      for (const panel of await panels()) {
        await turn(panel);
        const moving = await page.evaluate(() => [
          ...document.getAnimations().map((animation) => `animation of ${(animation.effect as KeyframeEffect).target?.className}`),
          ...[...document.querySelectorAll("*")].filter((one) => getComputedStyle(one).transitionDuration.split(",").some((time) => Number.parseFloat(time) > 0)).map((one) => `transition of ${one.className}`),
        ]);
        expect(moving, panel).toEqual([]);
      }
    });

    it("is never busy for longer than a moment while a picture is made", async () => {
      studio = await Studio.open(browser, server.origin, folder);
      const { page } = studio;
      await studio.generate({ steps: 1 });
      await page.tracing.start({ categories: ["devtools.timeline"] });
      expect(await studio.generate({ steps: 50 })).toMatch(/^Done/);
      const { traceEvents } = JSON.parse(Buffer.from((await page.tracing.stop())!).toString()) as { traceEvents: { name: string; dur?: number; tdur?: number; args: { data?: { functionName?: string; url?: string } } }[] };
      // Of the page's thread the time it computed for: what runs beside the browser takes the processor from it as well.
      const calls = traceEvents.filter(({ name, args: { data } }) => name === "FunctionCall" && /\/assets\/(?!worker-|maetok_web)/.test(data?.url ?? ""));
      expect(calls.length).toBeGreaterThan(50);
      const longest = calls.sort((a, b) => b.tdur! - a.tdur!).slice(0, 5).map(({ tdur, dur, args }) => ({ ms: Math.round(tdur! / 1000), told: `${args.data!.functionName || "(unnamed)"} ${(tdur! / 1000).toFixed(1)} ms (${(dur! / 1000).toFixed(1)} ms on the clock)` }));
      console.log(`Longest calls of the page's own code during 50 steps: ${longest.map(({ told }) => told).join(", ")}`);
      expect(longest.filter(({ ms }) => ms > LONGEST)).toEqual([]);
    });
  }
});

it("the page's JavaScript is small: all panels, both languages and the worker", () => {
  const files = readdirSync(join(DIST, "assets")).filter((file) => file.endsWith(".js"));
  const sizes = [...files.map((file) => join("assets", file)), "sw.js"].map((file) => [file, brotliCompressSync(readFileSync(join(DIST, file))).length] as const);
  const own = sizes.filter(([file]) => !/\/maetok_web-/.test(file));
  const sum = (some: typeof sizes) => some.reduce((sum, [, size]) => sum + size, 0);
  const all = sum(own);
  console.log(`${(all / 1000).toFixed(1)} kB of JavaScript with Brotli, and ${((sum(sizes) - all) / 1000).toFixed(1)} kB of bindings: ${[...sizes].sort((a, b) => b[1] - a[1]).map(([file, size]) => `${file} ${(size / 1000).toFixed(1)}`).join(", ")}`);
  expect(all).toBeLessThan(MOST_SCRIPT);
});
