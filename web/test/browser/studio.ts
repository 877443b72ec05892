/** The page as a test sees it: what a person can read and do there. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, ElementHandle, Page } from "puppeteer-core";
import { expect } from "vitest";

/** Panels by the name in the address, each with something that is there once it can be used. */
export const PANELS = { generate: ".classes input", reconstruct: "#picture", map: "#map-title", mix: "#mix-a-seed", compare: "#compare-seed", machine: "#panel-machine .facts-list" } as const;

export type PanelName = keyof typeof PANELS;

export interface OpenOptions {
  /** The panel the link names; the first if it names none. */
  panel?: PanelName;
  /** What follows the address: `?device=webgpu`, `#generate.steps=5`. */
  query?: string;
  width?: number;
  /** Only Chromium can be told. */
  dark?: boolean;
  /** The page may keep itself for use without a network; otherwise its service worker is kept out, which asks for files too. */
  offline?: boolean;
  /** Do not wait for the diagnosis and the classes: something is meant to be missing. */
  bare?: boolean;
}

/** How long a test waits for the page, in milliseconds: long, since builds and trainings may run beside it. */
const PATIENCE = Number(process.env.MAETOK_PATIENCE ?? 240_000);

/** A fresh context: no cache, no storage. */
export class Studio {
  /** What went wrong without the page's knowing: uncaught errors, refused by the Content-Security-Policy, … */
  readonly complaints: string[] = [];
  /** Addresses asked for outside the page's own origin. */
  readonly foreign: string[] = [];

  private constructor(
    readonly page: Page,
    readonly context: BrowserContext,
    readonly downloads: string,
    readonly origin: string,
  ) {}

  static async open(browser: Browser, origin: string, downloads: string, options: OpenOptions = {}): Promise<Studio> {
    // Firefox was told where to save when it was launched; Debian's ESR 140 knows no command for it.
    const told = /firefox/i.test(await browser.version());
    const context = await browser.createBrowserContext(told ? {} : { downloadBehavior: { policy: "allow", downloadPath: downloads } });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    const studio = new Studio(page, context, downloads, origin);
    page.on("pageerror", (error) => studio.complaints.push(String(error)));
    page.on("console", (message) => {
      // A refused download is a complaint of the browser's too; tests that cause one say so.
      if (message.type() === "error" && !/status of (403|404)|ERR_|icon/.test(message.text())) studio.complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (/^https?:/.test(request.url()) && !request.url().startsWith(origin)) studio.foreign.push(request.url());
    });
    const width = options.width ?? 1280;
    await page.setViewport({ width, height: 900 }).catch((error: unknown) => {
      // Sent together with the size, which is set all the same: ESR 140 does not know this one either.
      if (!/unknown command.*setScreenOrientationOverride/s.test(String(error))) throw error;
    });
    if (options.dark !== undefined) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: options.dark ? "dark" : "light" }]);
    if (!options.offline) await page.evaluateOnNewDocument(() => Object.defineProperty(Navigator.prototype, "serviceWorker", { value: undefined }));
    const hash = options.panel ? `#panel=${options.panel}` : "";
    await page.goto(`${origin}/${options.query ?? ""}${hash}`);
    expect(await page.evaluate(() => innerWidth)).toBe(width);
    if (!options.bare) await studio.ready(options.panel);
    return studio;
  }

  /** Waits until the page knows what it computes on, and shows the classes or what else `panel` has. */
  async ready(panel: PanelName = "generate"): Promise<void> {
    await this.reads(".badge", /^[^…?]+$/);
    await this.appears(PANELS[panel]);
  }

  /** Goes to a panel by its tab, unless it is shown already, and waits for what is in it. */
  async show(panel: PanelName): Promise<void> {
    if ((await this.shown()) !== panel) await this.page.click(`#tab-${panel}`);
    await this.appears(`#panel-${panel}:not([hidden])`);
    await this.appears(PANELS[panel]);
  }

  /** The panel that is shown, by its tab. */
  shown(): Promise<string> {
    return this.page.$eval("[role=tab][aria-selected=true]", (tab) => tab.id.replace("tab-", ""));
  }

  /**
   * Waits until `condition` holds in the page. Puppeteer's own `waitFor…` turn text into functions, which in Firefox ESR
   * 140 the Content-Security-Policy of the page forbids.
   */
  async until<A extends unknown[]>(condition: (...args: A) => unknown, args: [...A] = [] as unknown as A, timeout = PATIENCE): Promise<void> {
    const end = performance.now() + timeout;
    while (!(await this.page.evaluate(condition as (...args: unknown[]) => unknown, ...args))) {
      if (performance.now() > end) throw new Error(`waited ${timeout} ms in vain for ${String(condition)} with ${JSON.stringify(args)}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  /** Waits until there is an element that `selector` selects. */
  appears(selector: string, timeout?: number): Promise<void> {
    return this.until((selector) => document.querySelector(selector) !== null, [selector], timeout);
  }

  /** Waits until the text of what `selector` selects matches `words`. */
  reads(selector: string, words: RegExp): Promise<void> {
    return this.until((selector, words) => new RegExp(words).test(document.querySelector(selector)?.textContent ?? ""), [selector, words.source]);
  }

  async close(): Promise<void> {
    await this.context.close();
  }

  text(selector: string): Promise<string> {
    return this.page.$eval(selector, (element) => element.textContent ?? "");
  }

  /** Sentences shouted at the moment. */
  alerts(): Promise<string[]> {
    return this.page.$$eval("[role=alert]", (elements) => elements.map((element) => element.querySelector("p")?.textContent ?? element.textContent ?? "").filter(Boolean));
  }

  async fill(selector: string, value: string): Promise<void> {
    await this.page.$eval(
      selector,
      (element, value) => {
        (element as HTMLInputElement).value = value;
        element.dispatchEvent(new Event("input", { bubbles: true }));
        element.dispatchEvent(new Event("change", { bubbles: true }));
      },
      value,
    );
  }

  async choose(name: string): Promise<void> {
    await this.page.$eval(`input[name=class][value="${name}"]`, (element) => (element as HTMLInputElement).click());
  }

  async press(label: string): Promise<void> {
    const button = await this.button(label);
    await button.click();
  }

  async button(label: string): Promise<ElementHandle<HTMLButtonElement>> {
    for (const button of await this.page.$$("button:not([role=tab])")) {
      if ((await button.evaluate((element) => element.textContent)) === label && (await button.isVisible())) return button as ElementHandle<HTMLButtonElement>;
    }
    throw new Error(`there is no button “${label}”`);
  }

  /** Waits until the run is over and returns the words under the picture; fails with the alert if there is one. */
  async finished(timeout = PATIENCE): Promise<string> {
    await this.until(
      () => !document.querySelector(".card.running .stage") && (document.querySelector(".facts")?.textContent || document.querySelector(".stage .alert")?.textContent),
      [],
      timeout,
    );
    const alert = await this.text(".stage .alert");
    if (alert) throw new Error(`no picture: ${alert}`);
    return this.text(".facts");
  }

  async generate(settings: { name?: string; seed?: string; steps?: number; guidance?: number; sampler?: string }, timeout?: number): Promise<string> {
    await this.show("generate");
    if (settings.name) await this.choose(settings.name);
    if (settings.seed !== undefined) await this.fill("#seed", settings.seed);
    if (settings.steps !== undefined) await this.fill("#steps", String(settings.steps));
    if (settings.guidance !== undefined) await this.fill("#guidance", String(settings.guidance));
    if (settings.sampler !== undefined) await this.page.select("#sampler", settings.sampler);
    await this.press("Generate");
    return this.finished(timeout);
  }

  /** Waits until every step of the run has its picture: those that it had no time for are made afterwards. */
  developed(): Promise<void> {
    return this.until(() => document.querySelector(".film canvas") !== null && !document.querySelector(".film canvas.blank") && !/still to be made|noch gemacht/.test(document.querySelector(".caption")!.textContent!));
  }

  /** The pixels of a canvas, to be compared. */
  look(selector = ".stage .picture"): Promise<string> {
    return this.page.$eval(selector, (canvas) => (canvas as HTMLCanvasElement).toDataURL());
  }

  /** Red, green and blue of a canvas at a place, whose coordinates run from 0 to 1. */
  colour(selector: string, x: number, y: number): Promise<number[]> {
    return this.page.$eval(
      selector,
      (element, x, y) => {
        const canvas = element as HTMLCanvasElement;
        return [...canvas.getContext("2d")!.getImageData(Math.floor(x * canvas.width), Math.floor(y * canvas.height), 1, 1).data.slice(0, 3)];
      },
      x,
      y,
    );
  }

  /** Gives the page a picture file through the file dialog, where the pictures are reconstructed. */
  async upload(path: string): Promise<void> {
    await this.show("reconstruct");
    await this.#outdate();
    const input = (await this.page.$("#picture")) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(path);
  }

  /** Waits for the next alert in the page's cards and returns its sentence. */
  async nextAlert(timeout = PATIENCE): Promise<string> {
    await this.appears(".card .alert p, maetok-studio > .alert p", timeout);
    const [sentence] = await this.page.$$eval(".card .alert p, maetok-studio > .alert p", (found) => found.map((element) => element.textContent ?? ""));
    return sentence!;
  }

  async dismiss(): Promise<void> {
    await this.press("Close");
  }

  /**
   * Drops or pastes a file or a link on what `target` selects. Returns whether the page kept the browser from doing with
   * it what it does by itself, which is to leave the page.
   */
  async give(way: "drop" | "paste", target: string, what: { name: string; file: Buffer } | { link: string }): Promise<{ over: boolean; given: boolean }> {
    await this.#outdate();
    const file = "file" in what ? { name: what.name, base64: what.file.toString("base64") } : null;
    return this.page.$eval(
      target,
      (element, way, file, link) => {
        const data = new DataTransfer();
        if (file) data.items.add(new File([Uint8Array.from(atob(file.base64), (c) => c.charCodeAt(0))], file.name, { type: "image/png" }));
        else data.setData("text/uri-list", link);
        const events = { bubbles: true, cancelable: true };
        const over = new DragEvent("dragover", { ...events, dataTransfer: data });
        if (way === "drop") element.dispatchEvent(over);
        const given = way === "drop" ? new DragEvent("drop", { ...events, dataTransfer: data }) : new ClipboardEvent("paste", events);
        // Firefox takes no files in a made clipboard event's options.
        if (way === "paste") Object.defineProperty(given, "clipboardData", { value: data });
        element.dispatchEvent(given);
        return { over: over.defaultPrevented, given: given.defaultPrevented };
      },
      way,
      file,
      "link" in what ? what.link : "",
    );
  }

  /** Marks the scores shown, so that `scores` waits for others. */
  async #outdate(): Promise<void> {
    await this.page.$$eval(".scores > *", (found) => found.forEach((element) => ((element as HTMLElement).dataset.before = "")));
  }

  /** The scores of the picture given last; fails with the alert if there is one. */
  async scores(): Promise<{ psnr: number; ssim: number }> {
    await this.appears(".result:not([hidden]) .scores > :not([data-before]), [aria-labelledby=reconstruct-title] > .alert p");
    const alert = await this.text("[aria-labelledby=reconstruct-title] > .alert");
    if (alert) throw new Error(`no reconstruction: ${alert}`);
    const values = await this.page.$$eval(".scores strong", (found) => found.map((element) => element.textContent ?? ""));
    expect(values[0]).toMatch(/ dB$/);
    return { psnr: Number.parseFloat(values[0]!), ssim: Number.parseFloat(values[1]!) };
  }

  /** Presses a save button and returns the file's name and bytes. */
  async saved(label: string): Promise<{ name: string; file: Buffer }> {
    // The name as the page asks for it; the browser may number it.
    await this.page.evaluate(() => {
      delete document.body.dataset.saved;
      document.addEventListener("click", (event) => {
        if (event.target instanceof HTMLAnchorElement && event.target.download) document.body.dataset.saved = event.target.download;
      }, { capture: true });
    });
    await this.press(label);
    await this.until(() => document.body.dataset.saved !== undefined);
    const name = await this.page.evaluate(() => document.body.dataset.saved!);
    const at = join(this.downloads, name);
    for (let tries = 0; tries < 600; tries++) {
      if (existsSync(at) && readFileSync(at).length > 0 && !existsSync(`${at}.part`)) {
        const file = readFileSync(at);
        rmSync(at);
        return { name, file };
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${name} was not saved to ${this.downloads}`);
  }
}

/** A file of `tests/fixtures`. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../../../tests/fixtures/${path}`, import.meta.url));
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "maetok-browser-"));
}

/** One sentence with a capital and a full stop, then perhaps advice: no stack, no "undefined", not a page long. */
export function expectSentence(text: string): void {
  expect(text).toMatch(/^[\p{Lu}“].*[.!?]$/su);
  expect(text).not.toMatch(/undefined|\[object|NaN|panicked|RuntimeError|\n\s+at /);
  expect(text.length).toBeLessThan(400);
}
