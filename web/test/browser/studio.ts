/** The page as a test sees it: what a person can read and do there. */

import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, ElementHandle, Page } from "puppeteer-core";
import { expect } from "vitest";

export interface OpenOptions {
  /** What follows the address: `?device=webgpu`. */
  query?: string;
  width?: number;
  /** Only Chromium can be told. */
  dark?: boolean;
  /** Do not wait for the classes: the model is meant to be missing. */
  bare?: boolean;
}

/** How long a test waits for the page, in milliseconds: long, since builds and trainings may run beside it. */
const PATIENCE = 240_000;

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
    const context = await browser.createBrowserContext({ downloadBehavior: { policy: "allow", downloadPath: downloads } });
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
    await page.setViewport({ width: options.width ?? 1280, height: 900 });
    if (options.dark !== undefined) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: options.dark ? "dark" : "light" }]);
    await page.goto(`${origin}/${options.query ?? ""}`);
    await page.waitForFunction(() => !/Looking|…/.test(document.querySelector(".badge")?.textContent ?? "…"));
    if (!options.bare) await page.waitForSelector(".classes input");
    return studio;
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
    for (const button of await this.page.$$("button")) {
      if ((await button.evaluate((element) => element.textContent)) === label && (await button.isVisible())) return button as ElementHandle<HTMLButtonElement>;
    }
    throw new Error(`there is no button “${label}”`);
  }

  /** Waits until the run is over and returns the words under the picture; fails with the alert if there is one. */
  async finished(timeout = PATIENCE): Promise<string> {
    await this.page.waitForFunction(
      () => document.querySelector(".facts")?.textContent !== "" || document.querySelector(".card .alert")?.textContent !== "",
      { timeout },
    );
    const alerts = await this.alerts();
    const facts = await this.text(".facts");
    if (!facts) throw new Error(`no picture: ${alerts.join(" ")}`);
    return facts;
  }

  async generate(settings: { name?: string; seed?: string; steps?: number; guidance?: number }, timeout?: number): Promise<string> {
    if (settings.name) await this.choose(settings.name);
    if (settings.seed !== undefined) await this.fill("#seed", settings.seed);
    if (settings.steps !== undefined) await this.fill("#steps", String(settings.steps));
    if (settings.guidance !== undefined) await this.fill("#guidance", String(settings.guidance));
    await this.press("Generate");
    return this.finished(timeout);
  }

  /** Gives the page a picture file through the file dialog. */
  async upload(path: string): Promise<void> {
    const input = (await this.page.$("#picture")) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(path);
  }

  /** Waits for the next alert in the page's cards and returns its sentence. */
  async nextAlert(timeout = PATIENCE): Promise<string> {
    await this.page.waitForSelector(".card .alert p, maetok-studio > .alert p", { timeout });
    const [sentence] = await this.page.$$eval(".card .alert p, maetok-studio > .alert p", (found) => found.map((element) => element.textContent ?? ""));
    return sentence!;
  }

  async dismiss(): Promise<void> {
    await this.press("Close");
  }

  async scores(): Promise<{ psnr: number; ssim: number }> {
    await this.page.waitForFunction(() => document.querySelector(".result:not([hidden])") !== null || document.querySelector(".card .alert p") !== null);
    const values = await this.page.$$eval(".scores strong", (found) => found.map((element) => element.textContent ?? ""));
    if (values.length === 0) throw new Error(`no reconstruction: ${(await this.alerts()).join(" ")}`);
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
    await this.page.waitForFunction(() => document.body.dataset.saved !== undefined);
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

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "maetok-browser-"));
}

/** One sentence with a capital and a full stop, then perhaps advice: no stack, no "undefined", not a page long. */
export function expectSentence(text: string): void {
  expect(text).toMatch(/^[\p{Lu}“].*[.!?]$/su);
  expect(text).not.toMatch(/undefined|\[object|NaN|panicked|RuntimeError|\n\s+at /);
  expect(text.length).toBeLessThan(400);
}
