/** From a class to pictures: search, interval, previews, batches, live, history, film; in Chromium and Firefox. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, killGpuProcess, launch } from "./browsers.ts";
import { decode, worstDifference } from "./png.ts";
import { TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));

describe.each<BrowserName>(["chromium", "firefox"])("generating in %s", (name) => {
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
  const value = (selector: string) => studio!.page.$eval(selector, (input) => (input as HTMLInputElement).value);
  const chosen = () => value("input[name=class]:checked");
  const shownClasses = () => studio!.page.$$eval("input[name=class]", (inputs) => inputs.filter((input) => input.checkVisibility({ checkOpacity: false })).map((input) => (input as HTMLInputElement).value));
  const again = async () => {
    await studio!.press("Generate");
    return studio!.finished();
  };

  it("finds a class as it is typed, takes the first with Enter, and takes any", async () => {
    const { page } = await open();
    const all = await shownClasses();
    expect(all.length).toBeGreaterThan(20);
    await page.focus("#class-search");
    await page.keyboard.type("LOREL");
    expect(await shownClasses()).toEqual(["lorelei"]);
    expect(await studio!.text(".found")).toBe(`1 of ${all.length} classes`);
    await page.keyboard.press("Enter");
    expect(await chosen()).toBe("lorelei");
    expect(await studio!.text(".facts"), "Enter chooses, and does not generate").toBe("");
    await page.keyboard.type("zzz");
    expect(await shownClasses()).toEqual([]);
    expectSentence(await studio!.text(".found"));
    expect(await chosen(), "what is chosen stays").toBe("lorelei");
    await studio!.fill("#class-search", "avatar");
    const avatars = await shownClasses();
    expect(avatars.length).toBeGreaterThan(5);
    expect(avatars.length).toBeLessThan(all.length);
    const seen = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const before = await chosen();
      await page.click(".random");
      expect(await chosen()).not.toBe(before);
      seen.add(await chosen());
    }
    expect([...seen].every((one) => avatars.includes(one)), "of those that are shown").toBe(true);
    await studio!.fill("#class-search", "");
    expect(await shownClasses()).toEqual(all);
  });

  it("guides only between two times, set with keys or by hand; without length that is no guidance", async () => {
    const { page } = await open({ query: "#generate.steps=6&generate.guidance=5&generate.seed=3" });
    await again();
    const always = await studio!.look();
    expect(await studio!.text(".interval-value")).toBe("all the time");
    await page.focus("#interval-first");
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    expect(await studio!.text(".interval-value")).toBe("from t = 0.97 to t = 0.00");
    expect(await page.$eval("#interval-first", (handle) => handle.getAttribute("aria-valuetext"))).toBe("at time t = 0.97");
    await page.keyboard.press("End");
    expect(await studio!.text(".interval-value"), "no handle passes the other").toBe("only at t = 0.00");
    await again();
    const nowhere = await studio!.look();
    await studio!.fill("#guidance", "1");
    expect(await studio!.text(".interval-value")).toBe("has no effect at scale 1");
    await again();
    const plain = await studio!.look();
    expect(nowhere).not.toBe(always);
    expect(nowhere).toBe(plain);
    // A press on the track moves the nearer handle there; the other end stays.
    await studio!.fill("#guidance", "5");
    await page.focus("#interval-first");
    await page.keyboard.press("Home");
    const box = (await (await page.$(".range2"))!.boundingBox())!;
    const stays = async () => expect((await (await page.$(".range2"))!.boundingBox())!.y, "the slider stays under the hand").toBe(box.y);
    await page.mouse.click(box.x + box.width * 0.5, box.y + 10);
    await studio!.until(() => /^from t = 1\.00 to t = 0\.(4[89]|5[0-2])$/.test(document.querySelector(".interval-value")!.textContent!), [], 5000);
    await stays();
    await page.mouse.click(box.x + box.width * 0.1, box.y + 10);
    await studio!.until(() => /^from t = 0\.(8[89]|9[0-3]) to t = 0\.(4[89]|5[0-2])$/.test(document.querySelector(".interval-value")!.textContent!), [], 5000);
    await again();
    expect(new Set([await studio!.look(), always, plain]).size).toBe(3);
    await page.click("[aria-label^=Undo]");
    expect(await studio!.text(".interval-value")).toMatch(/^from t = 1\.00 to/);
  });

  it("an interval the wrong way round, as a link may have it, is turned round", async () => {
    await open({ query: "#generate.low=0.75&generate.high=0.25&generate.steps=2" });
    expect(await studio!.text(".interval-value")).toBe("from t = 0.75 to t = 0.25");
    expect(await again()).toMatch(/^Done/);
  });

  it("shows guess, state or both of every step, made after the run where it had no time", async () => {
    const { page } = await open({ query: "#generate.steps=12&generate.seed=4" });
    await again();
    await studio!.developed();
    const film = () => page.$$eval(".film canvas", (found) => found.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()));
    const guesses = await film();
    expect(guesses).toHaveLength(13);
    expect(new Set(guesses).size).toBeGreaterThan(9);
    await studio!.fill("#scrubber", "2");
    expect(await studio!.text(".caption")).toBe("Guess at step 3 of 12, with 83 % noise left");
    const guess = await studio!.look();
    await page.click("input[name=generate-preview][value=state]");
    await studio!.until(() => /^The state after step 3 of 12/.test(document.querySelector(".caption")!.textContent!) && !document.querySelector(".film canvas.blank"));
    await studio!.developed();
    expect(await studio!.look()).not.toBe(guess);
    await studio!.until((first) => (document.querySelector(".film canvas") as HTMLCanvasElement).toDataURL() !== first, [guesses[0]!]);
    const state = await studio!.look();
    await page.click("input[name=generate-preview][value=both]");
    await studio!.reads(".caption", /^Step 3 of 12: the guess with 83 % noise left, and the state after it$/);
    expect(await studio!.look(".shown figure:first-child canvas")).toBe(guess);
    expect(await studio!.look(".shown figure:last-child canvas")).toBe(state);
    // The finished picture is one, whatever is shown of a step; the state after the last step is nearly it.
    await studio!.fill("#scrubber", "12");
    expect(await studio!.text(".caption")).toBe("The finished picture");
    expect(await page.$$eval(".shown figure", (figures) => figures.filter((figure) => figure.checkVisibility()).length)).toBe(1);
  });

  it("plays a run again, and goes through its film with keys, without computing anything", async () => {
    const { page } = await open({ query: "#generate.steps=9" });
    await again();
    await studio!.developed();
    await page.evaluate(() => {
      const seen: string[] = ((globalThis as { seen?: string[] }).seen = []);
      new MutationObserver(() => seen.push(document.querySelector(".caption")!.textContent!)).observe(document.querySelector(".caption")!, { childList: true });
      const post = Worker.prototype.postMessage;
      (globalThis as { asked?: number }).asked = 0;
      Worker.prototype.postMessage = function (...message: unknown[]) {
        (globalThis as unknown as { asked: number }).asked++;
        return (post as (...message: unknown[]) => void).apply(this, message);
      };
    });
    await studio!.press("▶ Play");
    await studio!.button("❚❚ Pause");
    await studio!.reads(".caption", /^The finished picture$/);
    await studio!.button("▶ Play");
    const seen = await page.evaluate(() => (globalThis as { seen?: string[] }).seen!);
    expect(seen.length).toBe(10);
    expect(seen[0]).toMatch(/^Guess at step 1 of 9/);
    await page.focus(".film");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    expect(await studio!.text(".caption")).toMatch(/^Guess at step 2 of 9/);
    const marked = await page.$eval(".film", (film) => ({ active: film.getAttribute("aria-activedescendant"), selected: [...film.querySelectorAll("[aria-selected=true]")].map(({ id }) => id) }));
    expect(marked).toEqual({ active: "frame-1", selected: ["frame-1"] });
    expect(await page.evaluate(() => (globalThis as { asked?: number }).asked)).toBe(0);
  });

  it("makes a batch as a grid: each picture is what its seed makes alone, can be enlarged and saved", async () => {
    const { page } = await open({ query: "#generate.steps=4&generate.seed=18446744073709551614&generate.count=5&generate.class=lorelei" });
    await again();
    expect(await studio!.text(".caption")).toBe("The finished pictures");
    const tiles = await page.$$eval(".tile canvas", (found) => found.map((canvas) => (canvas as HTMLCanvasElement).toDataURL()));
    expect(tiles).toHaveLength(5);
    expect(new Set(tiles).size).toBe(5);
    const names = await page.$$eval(".tile", (found) => found.map((tile) => tile.getAttribute("aria-label")));
    expect(names[2], "after the largest seed comes 0").toBe("Enlarge picture 3: Lorelei, seed 0");
    const whole = await studio!.saved("Save as PNG");
    expect(whole.name).toBe("lorelei-seed18446744073709551614-5pictures-4steps-guidance2.png");
    const sheet = decode(whole.file);
    expect([sheet.width, sheet.height]).toEqual([2 + 3 * 130, 2 + 2 * 130]);
    await page.focus(".tile:nth-child(3)");
    await page.keyboard.press("Enter");
    expect(await studio!.text(".caption")).toBe("The finished picture, seed 0");
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe("▦ All pictures");
    const one = await studio!.saved("Save as PNG");
    expect(one.name).toBe("lorelei-seed0-4steps-guidance2.png");
    // While it is enlarged the film is this picture's.
    await studio!.developed();
    await studio!.fill("#scrubber", "0");
    await studio!.developed();
    expect(await studio!.text(".caption")).toMatch(/^Guess at step 1 of 4/);
    await page.keyboard.press("Escape");
    await page.click(".back").catch(() => {});
    expect(await page.$$eval(".tile", (found) => found.filter((tile) => tile.checkVisibility()).length)).toBe(5);
    await studio!.fill("#count", "1");
    await studio!.fill("#seed", "0");
    await again();
    const alone = decode((await studio!.saved("Save as PNG")).file);
    expect(worstDifference(decode(one.file), alone)).toBeLessThanOrEqual(1);
  });

  it("a number of pictures that cannot be", async () => {
    await open();
    for (const bad of ["0", "17", "2.5", ""]) {
      await studio!.fill("#count", bad);
      await studio!.press("Generate");
      const sentence = await studio!.nextAlert();
      expectSentence(sentence);
      expect(sentence).toMatch(/^The number of pictures is .*, but it must be a whole number from 1 to 16\.$/);
      await studio!.dismiss();
    }
  });

  it("live: the picture follows the controls where the device is fast, and says so where it is not", async () => {
    const { page } = await open({ query: "#generate.steps=5" });
    await page.click("#live");
    expect(await studio!.text("#live-help")).toBe("From the first picture on: it shows how fast this device is.");
    await again();
    await studio!.reads("#live-help", /^On: a picture takes about .* here\.$/);
    const before = await studio!.look();
    await studio!.fill("#guidance", "9");
    await studio!.reads(".facts", /^Live, in /);
    const guided = await studio!.look();
    expect(guided).not.toBe(before);
    // A hand that moves on: what counts in the end is where it stopped.
    for (const to of ["8", "7", "6", "5", "4", "3"]) await studio!.fill("#guidance", to);
    await studio!.fill("#guidance", "2");
    await studio!.until((before) => (document.querySelector(".stage .picture") as HTMLCanvasElement).toDataURL() === before, [before]);
    expect(await page.$$eval(".run", (found) => found.length), "runs of a moving hand do not fill the history").toBe(2);
    await studio!.fill("#steps", "1000");
    await studio!.reads("#live-help", /^Off for now: these settings take about .* here, and a picture keeps up with a hand below 1\.5 s\./);
    expect(await studio!.look(), "nothing is begun that would not keep up").toBe(before);
    await studio!.until(() => location.hash.includes("generate.live=yes"));
  });

  it("keeps the runs of a visit: a click brings back settings, picture and film", async () => {
    const { page } = await open();
    await studio!.generate({ name: "lorelei", steps: 4, seed: "11" });
    await studio!.developed();
    const first = await studio!.look();
    await studio!.generate({ name: "micah", steps: 3, seed: "12", guidance: 4 });
    const second = await studio!.look();
    const names = await page.$$eval(".run", (found) => found.map((run) => run.getAttribute("aria-label")));
    expect(names).toEqual(["Micah, seed 12, 3 steps, guidance 4.0", "Lorelei, seed 11, 4 steps, guidance 2.0"]);
    await page.click(".runs [role=listitem]:last-child .run");
    expect([await chosen(), await value("#seed"), await value("#steps"), await value("#guidance")]).toEqual(["lorelei", "11", "4", "2"]);
    expect(await studio!.look()).toBe(first);
    expect(await page.$$eval(".run", (found) => found.map((run) => run.getAttribute("aria-current")))).toEqual([null, "true"]);
    await studio!.fill("#scrubber", "0");
    expect(await studio!.text(".caption")).toMatch(/^Guess at step 1 of 4/);
    await page.click(".runs .run");
    expect(await studio!.look()).toBe(second);
    await page.click("[aria-label^=Undo]");
    expect([await chosen(), await value("#seed")]).toEqual(["lorelei", "11"]);
  });

  it("stopped, it keeps the picture of the step it had reached", async () => {
    await open();
    await studio!.fill("#steps", "400");
    await studio!.press("Generate");
    await studio!.reads(".caption", /Guess at step \d/);
    await studio!.press("Stop");
    const [, step] = /^Stopped at step (\d+) of 400/.exec(await studio!.finished())!;
    expect(await studio!.text(".caption")).toMatch(new RegExp(`^Guess at step ${step} of 400`));
    const kept = await studio!.saved("Save as PNG");
    expect(kept.name).toContain(`-step${step}.png`);
    await studio!.press("Generate");
    expect(await studio!.finished()).toMatch(/^Done/);
    expect(await studio!.text("#scrubber-help")).toMatch(/^The film has 2\d\d of the 401 pictures; the slider reaches each of them\.$/);
    await studio!.fill("#scrubber", String(Number(step) - 1));
    await studio!.reads(".caption", new RegExp(`^Guess at step ${step} of 400, with \\d+ % noise left$`));
    expect(decode((await studio!.saved("Save as PNG")).file)).toEqual(decode(kept.file));
  });

  it("goes on after the graphics processor was killed, says so, and comes to the same picture", async () => {
    const run = "#generate.steps=16&generate.guidance=1&generate.seed=9";
    await open({ query: `?device=cpu${run}` });
    await again();
    const whole = decode((await studio!.saved("Save as PNG")).file);
    await studio!.close();
    // In Firefox the process cannot be told from others, so the device goes with the second step. What the page itself
    // destroys is not lost: the reason is changed to the one that a crash has.
    if (name === "firefox") server.workerPrelude = `
      let device, lose;
      const gone = new Promise((resolve) => (lose = () => resolve({ reason: "unknown", message: "it was killed" })));
      Object.defineProperty(GPUDevice.prototype, "lost", { get: () => gone });
      const request = GPUAdapter.prototype.requestDevice;
      GPUAdapter.prototype.requestDevice = async function (descriptor) {
        return (device = await request.call(this, descriptor));
      };
      const post = globalThis.postMessage;
      globalThis.postMessage = function (message, transfer) {
        if (message.kind === "step" && message.step.index === 2) {
          device.destroy();
          lose();
        }
        return post.call(this, message, transfer);
      };`;
    await open({ query: `?device=webgpu${run}` });
    await studio!.press("Generate");
    if (name === "chromium") {
      await studio!.reads(".stage .words", /^Step [2-9] of/);
      killGpuProcess(browser);
    }
    const facts = await studio!.finished();
    const [, taken] = /^Done in .*\. The graphics processor was lost on the way; the run went on after step (\d+) on a new one\.$/.exec(facts) ?? [];
    expect(Number(taken), facts).toBeGreaterThanOrEqual(2);
    studio!.complaints.length = 0;
    await studio!.developed();
    expect(worstDifference(whole, decode((await studio!.saved("Save as PNG")).file))).toBeLessThanOrEqual(2);
    await studio!.fill("#scrubber", taken!);
    expect(await studio!.text(".caption")).toContain(`Guess at step ${Number(taken) + 1} of 16`);
  });

  it("lets nobody wait: not while it runs, nor while the steps are made, nor when somebody looks through them", async () => {
    const { page } = await open({ query: "#generate.count=16&generate.steps=10" });
    await again();
    await studio!.developed();
    await page.evaluate(() => {
      const late: number[] = ((globalThis as { late?: number[] }).late = []);
      // What Firefox does not observe: there a timer that comes late has to do.
      if (PerformanceObserver.supportedEntryTypes.includes("longtask")) return new PerformanceObserver((list) => late.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
      let before = performance.now();
      setInterval(() => (late.push(performance.now() - before), (before = performance.now())), 5);
    });
    // That it would be noticed: one wait of our own making.
    await page.evaluate(() => new Promise((resolve) => setTimeout(() => {
      const end = performance.now() + 400;
      while (performance.now() < end);
      setTimeout(resolve, 100);
    })));
    const noticed = await page.evaluate(() => Math.max(...(globalThis as { late?: number[] }).late!.splice(0)));
    expect(noticed).toBeGreaterThan(350);
    await studio!.fill("#seed", "50");
    await again();
    for (const at of ["0", "3", "6", "9", "10"]) await studio!.fill("#scrubber", at);
    await page.click("input[name=generate-preview][value=state]");
    await studio!.developed();
    const late = await page.evaluate(() => (globalThis as { late?: number[] }).late!);
    const longest = Math.max(0, ...late);
    console.log(`${name}: input waited at most ${longest.toFixed(0)} ms during a run of sixteen pictures and after it`);
    // 50 ms is the aim on a machine of one's own; two cores that build something else beside it are given more.
    expect(longest).toBeLessThan(300);
  });

  it("fits a phone with a batch, both previews and everything open", async () => {
    const { page } = await open({ width: 320, query: "#generate.steps=3&generate.count=16&generate.preview=both" });
    await again();
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(await overflow()).toBe(0);
    await page.click(".tile:nth-child(16)");
    await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
    expect(await overflow()).toBe(0);
  });
});

describe("looks of the panel", () => {
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

  it.each([320, 768, 1280].flatMap((width) => ["light", "dark"].map((mode) => [width, mode] as const)))("%d pixels wide, %s", async (width, mode) => {
    const studio = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark", query: "#generate.class=lorelei&generate.high=0.8&generate.low=0.2" });
    const { page } = studio;
    const shot = async (name: string) => {
      await page.evaluate(() => {
        (document.activeElement as HTMLElement | null)?.blur();
        scrollTo(0, 0);
      });
      await page.mouse.move(0, 0);
      await page.screenshot({ path: join(SHOTS, `generate-${name}-${width}-${mode}.png`), fullPage: true });
    };
    await page.$$eval("img", (images) => images.forEach((image) => (image.loading = "eager")));
    await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
    for (const seed of ["1", "2", "3"]) await studio.generate({ seed });
    await page.click("#live");
    await page.click("input[name=generate-preview][value=both]");
    await studio.fill("#scrubber", "6");
    await studio.developed();
    await shot("film");
    await page.click("#live");
    await studio.fill("#count", "7");
    await studio.generate({ name: "micah" });
    await studio.developed();
    await shot("batch");
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });
});
