/** The page without a network, a network that goes in the midst of things, and two versions of the page that never mix. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { DIST, TestServer } from "./server.ts";
import { expectSentence, Studio, temporaryFolder } from "./studio.ts";

const WEB = fileURLToPath(new URL("../../", import.meta.url));

/** The same page built with another version's number, so that the files that tell it have other names. */
function anotherVersion(): string {
  const folder = mkdtempSync(join(tmpdir(), "maetok-version-"));
  execFileSync(process.execPath, [join(WEB, "node_modules/vite/bin/vite.js"), "build", "--outDir", folder, "--emptyOutDir"], { cwd: WEB, env: { ...process.env, MAETOK_PAGE_VERSION: "99.0.0" }, stdio: "pipe" });
  return folder;
}

const buildOf = (folder: string) => /name="build" content="([0-9a-f]{16})"/.exec(readFileSync(join(folder, "index.html"), "utf8"))![1]!;

describe.each<BrowserName>(["chromium", "firefox"])("without a network in %s", (name) => {
  const folder = temporaryFolder();
  const next = anotherVersion();
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
  const open = async () => (studio = await Studio.open(browser, server.origin, folder, { offline: true }));
  /** Names of the caches of builds, and whether each has the engine. */
  const kept = (page: Page = studio!.page) =>
    page.evaluate(async () => {
      const names = (await caches.keys()).filter((name) => name.startsWith("maetok-app-1-"));
      const found: Record<string, boolean> = {};
      for (const name of names) found[name.slice("maetok-app-1-".length)] = (await (await caches.open(name)).keys()).some(({ url }) => url.endsWith(".wasm"));
      return found;
    });
  const buildShown = (page: Page = studio!.page) => page.$eval("meta[name=build]", (meta) => (meta as HTMLMetaElement).content);
  /** Waits until the page is kept, as the panel says, and then for what else it says. */
  const saysOffline = async (words: RegExp) => {
    await studio!.show("machine");
    await studio!.reads("[aria-labelledby=machine-offline]", words);
  };
  const pixels = () => studio!.look();

  it("begins again, and makes the same picture, after one visit in which one was made", async () => {
    await open();
    await studio!.generate({ steps: 3, seed: "7" });
    const picture = await pixels();
    await saysOffline(/The model and the engine are kept too/);
    expect(await kept()).toEqual({ [buildOf(DIST)]: true });
    server.down = true;
    await studio!.page.reload();
    await studio!.ready("machine");
    await studio!.generate({ steps: 3, seed: "7" });
    expect(await pixels()).toBe(picture);
    // The thumbnails too, and the panel that was never opened.
    await studio!.page.$$eval("img", (images) => images.forEach((image) => (image.loading = "eager")));
    await studio!.until(() => [...document.images].every((image) => image.complete));
    expect(await studio!.page.$$eval("img", (images) => images.filter((image) => image.naturalWidth === 0).length)).toBe(0);
    await studio!.show("reconstruct");
    expect(await studio!.alerts()).toEqual([]);
    expect(studio!.complaints).toEqual([]);
  });

  it("downloads nothing large without being asked, and all of it when asked", async () => {
    await open();
    await saysOffline(/The model and the engine are not all here yet: \d\d MB more/);
    expect(await kept()).toEqual({ [buildOf(DIST)]: false });
    expect(server.requests.filter((path) => /wasm$|safetensors$/.test(path))).toEqual([]);
    await studio!.press("Keep model and engine now");
    await saysOffline(/The model and the engine are kept too/);
    // What is deleted is said to be, and comes again.
    await studio!.press("Delete everything");
    await saysOffline(/The page is not kept any more, it was deleted here\./);
    expect(await kept()).toEqual({});
    await studio!.press("Keep model and engine now");
    await saysOffline(/The model and the engine are kept too/);
    expect(await kept()).toEqual({ [buildOf(DIST)]: true });
    // With the server itself gone, not only its answers.
    await server.stop();
    await studio!.page.reload();
    await studio!.ready("machine");
    expect(await studio!.generate({ steps: 1 })).toMatch(/^Done/);
    server = await TestServer.start();
  });

  it("says so when the network goes in the midst of a download, and goes on with what is missing", async () => {
    await open();
    await saysOffline(/The page itself is kept/);
    await studio!.show("generate");
    server.faults.set("sit/model.safetensors", "slow");
    await studio!.fill("#steps", "1");
    await studio!.press("Generate");
    await studio!.reads(".task .words", /Downloading: [1-9]/);
    // The other file is here and kept; then everything breaks off.
    await studio!.until(async () => (await (await caches.open("maetok-weights-1")).keys()).length >= 3);
    server.down = true;
    server.breakOff();
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(/^The download of sit\/model\.safetensors broke off after \d+ of \d+ bytes\. Check the connection and try again\.$/);
    await studio!.press("Try again");
    expectSentence(await studio!.nextAlert());
    server.down = false;
    server.faults.clear();
    server.requests.length = 0;
    await studio!.press("Try again");
    expect(await studio!.finished()).toMatch(/^Done/);
    expect(server.requests.filter((path) => /safetensors$/.test(path))).toEqual(["/models/toon-128/sit/model.safetensors"]);
  });

  it("keeps two versions apart: the old page goes on with its own files, the next load is all new, then the old ones go", async () => {
    const [a, b] = [buildOf(DIST), buildOf(next)];
    expect(a).not.toBe(b);
    await open();
    const { page } = studio!;
    await studio!.generate({ steps: 1 });
    await saysOffline(/The model and the engine are kept too/);
    // A second tab of the old version, which opens no panel yet.
    const other = await studio!.context.newPage();
    await other.goto(`${server.origin}/`);
    await page.bringToFront();
    server.page = next;
    await studio!.press("Look for a new version");
    await studio!.reads(".update", /^A new version of this page is ready/);
    expect(await kept(), "installed aside, engine and all").toEqual({ [a]: true, [b]: true });

    // The old tab wants a panel now: its file is no longer on the server.
    const panel = (folder: string) => readdirSync(join(folder, "assets")).find((file) => /^machine-.*\.js$/.test(file))!;
    expect(panel(DIST)).not.toBe(panel(next));
    await other.bringToFront();
    await other.evaluate(() => document.querySelector<HTMLElement>("#tab-machine")!.click());
    const version = async (of: Page) => {
      for (;;) {
        const text = await of.evaluate(() => document.querySelector("#panel-machine [aria-labelledby=machine-memory]")?.textContent ?? "");
        const found = /Page(\d+\.\d+\.\d+), build ([0-9a-f]{16})/.exec(text);
        if (found) return [found[1], found[2]];
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    expect(await version(other)).toEqual(["0.1.0", a]);
    const loaded = (of: Page) => of.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname).filter((path) => /assets\/.*\.js$/.test(path)));
    const files = (folder: string) => new Set(readdirSync(join(folder, "assets")).map((file) => `/assets/${file}`));
    const [old, fresh] = [files(DIST), files(next)];
    expect((await loaded(other)).filter((path) => !old.has(path))).toEqual([]);

    // The first tab is loaded anew, without a network even.
    server.down = true;
    await page.bringToFront();
    await Promise.all([page.waitForNavigation(), studio!.press("Reload now")]);
    await studio!.ready("machine");
    expect(await buildShown()).toBe(b);
    expect(await version(page)).toEqual(["99.0.0", b]);
    expect((await loaded(page)).filter((path) => !fresh.has(path))).toEqual([]);
    expect(await studio!.generate({ steps: 1 })).toMatch(/^Done/);
    expect(Object.keys(await kept()).sort(), "a tab still needs the old files").toEqual([a, b].sort());
    // The old tab goes, and its files with the next page that comes up.
    await other.close();
    await page.reload();
    await studio!.ready("generate");
    await studio!.until(async () => (await caches.keys()).filter((name) => name.startsWith("maetok-app-1-")).length === 1);
    expect(await kept()).toEqual({ [b]: true });
  });

  it("keeps nothing of a page that does not arrive as it was built", async () => {
    // Of another build, say: the server was renewed between two files.
    const panel = readdirSync(join(DIST, "assets")).find((file) => /^reconstruct-.*\.js$/.test(file))!;
    server.instead.push({ path: new RegExp(panel), status: 200, type: "text/javascript", body: "export const create = 1" });
    await open();
    await saysOffline(/The page could not be kept/);
    expect(server.requests).toContain("/sw.js");
    expect(await kept()).toEqual({});
  });
});
