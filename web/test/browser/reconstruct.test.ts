/** The reconstruction as a laboratory, in Chromium and Firefox: squares, masks, tokens, views, files out, the camera. */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { decode, encode, pattern, type Pixels, worstDifference } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const CLI = process.env.MAETOK_CLI ?? fileURLToPath(new URL("../../../target/release/maetok", import.meta.url));
const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));

/** Two pictures that the model ought to manage. */
const [ONE, OTHER] = ["lorelei", "hearts"].map((name) => join(MODEL, "thumbnails", `${name}.webp`)) as [string, string];

/** The right-hand picture: the reconstruction, while that is the view. */
const AFTER = ".figures figure:nth-child(2) .picture:not([hidden])";

/** What a person does in the panel. */
class Bench {
  constructor(readonly studio: Studio) {}

  get page() {
    return this.studio.page;
  }

  /** Waits until everything asked for is shown. */
  async settled(): Promise<void> {
    await this.studio.until(() => document.querySelector(".result:not([hidden])") !== null && !document.querySelector("[aria-busy], .card.running"));
    const alert = await this.studio.text("[aria-labelledby=reconstruct-title] > .alert");
    if (alert) throw new Error(alert);
  }

  async take(path: string): Promise<void> {
    await this.studio.upload(path);
    await this.studio.scores();
    await this.settled();
  }

  async fill(selector: string, value: string): Promise<void> {
    await this.studio.fill(selector, value);
    await this.settled();
  }

  async press(label: string): Promise<void> {
    await this.studio.press(label);
    await this.settled();
  }

  async keys(selector: string, ...keys: string[]): Promise<void> {
    await this.page.focus(selector);
    for (const key of keys) await this.page.keyboard.press(key as " ");
    await this.settled();
  }

  /** The reconstruction as it is at the moment. */
  look(): Promise<string> {
    return this.fingerprint(AFTER);
  }

  /** Short, so that a test that fails does not print pictures. */
  async fingerprint(selector: string): Promise<string> {
    return createHash("sha256").update(await this.studio.look(selector)).digest("hex").slice(0, 12);
  }

  /** The reconstruction, pixel by pixel. */
  async pixels(): Promise<Pixels> {
    return decode((await this.studio.saved("Save reconstruction as PNG")).file);
  }

  async psnr(): Promise<number> {
    return Number.parseFloat(await this.studio.text(".scores strong"));
  }

  /** Draws with the mouse over what `selector` selects, through points in fractions of it. */
  async drag(selector: string, ...points: [number, number][]): Promise<void> {
    await this.page.$eval(selector, (element) => element.scrollIntoView({ block: "center" }));
    const box = await this.page.$eval(selector, (element) => element.getBoundingClientRect().toJSON() as { x: number; y: number; width: number; height: number });
    for (const [i, [x, y]] of points.entries()) {
      await this.page.mouse.move(box.x + x * box.width, box.y + y * box.height);
      if (i === 0) await this.page.mouse.down();
    }
    await this.page.mouse.up();
    await this.settled();
  }

  hash(): Promise<string> {
    return this.page.evaluate(() => location.hash);
  }
}

/** The mean difference of two pictures in all colour values, of 255. */
function meanDifference(a: Pixels, b: Pixels): number {
  return a.rgb.reduce((sum, value, i) => sum + Math.abs(value - b.rgb[i]!), 0) / a.rgb.length;
}

/** Numbers of an `.npy` file of 32-bit floats, and their shape. */
function readNpy(file: Buffer): { shape: number[]; values: Float32Array } {
  expect(file.subarray(0, 6).toString("latin1")).toBe("\x93NUMPY");
  const header = file.subarray(10, 10 + file.readUInt16LE(8)).toString("latin1");
  expect(header).toContain("'descr': '<f4'");
  const shape = /'shape': \(([\d, ]+)\)/.exec(header)![1]!.split(",").filter((text) => text.trim()).map(Number);
  const body = file.subarray(10 + file.readUInt16LE(8));
  return { shape, values: new Float32Array(body.buffer.slice(body.byteOffset, body.byteOffset + body.length)) };
}

const halves = (width: number, height: number): Buffer => {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.set(i % width < width / 2 ? [200, 30, 30] : [30, 40, 200], i * 3);
  return encode({ width, height, rgb });
};

describe.each<BrowserName>(["chromium", "firefox"])("the reconstruction in %s", (name) => {
  const folder = temporaryFolder();
  let browser: Browser;
  let server: TestServer;
  let bench: Bench;

  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launch(name, folder);
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });
  afterEach(async () => {
    const { complaints, foreign } = bench.studio;
    await bench.studio.close();
    server.reset();
    expect(complaints).toEqual([]);
    expect(foreign).toEqual([]);
  });
  const open = async (options: OpenOptions = {}) => (bench = new Bench(await Studio.open(browser, server.origin, folder, { panel: "reconstruct", ...options })));
  const file = (name: string, bytes: Buffer | string) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };

  it("untouched is what the command line makes of it, and the command is written out", async () => {
    await open();
    await bench.take(ONE);
    const out = join(folder, "cli.png");
    const scores = JSON.parse(execFileSync(CLI, ["reconstruct", ONE, "--json", "--device", "cpu", "--model", MODEL, "--out", out], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })) as { psnr: number; ssim: number };
    expect(Math.abs((await bench.psnr()) - scores.psnr)).toBeLessThan(0.01);
    expect(Math.abs((await bench.studio.scores()).ssim - scores.ssim)).toBeLessThan(0.001);
    expect(worstDifference(await bench.pixels(), decode(readFileSync(out)))).toBeLessThanOrEqual(1);
    expect(await bench.studio.text(".command")).toBe("maetok reconstruct lorelei.webp --out lorelei-reconstruction.png");
    expect(await bench.studio.text(".changes")).toBe("The plain reconstruction: nothing is hidden or changed.");

    // The latent in the file is the one that is drawn: its first number, in standard deviations, is in the first cell.
    const { name: saved, file: bytes } = await bench.studio.saved("Save latent as .npy");
    expect(saved).toBe("lorelei-latent.npy");
    const { shape, values } = readNpy(bytes);
    expect(shape).toEqual([16, 16]);
    const encoded = join(folder, "cli.npy");
    execFileSync(CLI, ["encode", ONE, "--device", "cpu", "--model", MODEL, "--out", encoded], { stdio: "ignore" });
    const native = readNpy(readFileSync(encoded));
    expect(native.shape).toEqual(shape);
    const worst = Math.max(...values.map((value, i) => Math.abs(value - native.values[i]!)));
    console.log(`${name}: PSNR ${await bench.psnr()} dB on the page, ${scores.psnr} dB from the command line; latents differ by at most ${worst}`);
    expect(worst).toBeLessThan(2e-3);
    const manifest = JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as { latent_mean: number; latent_std: number };
    const { latent_mean: mean, latent_std: std } = manifest;
    await bench.page.focus(".heat");
    await bench.page.keyboard.press("ArrowRight");
    await bench.page.keyboard.press("ArrowDown");
    const read = /Token 2, channel 2: ([−+]?)([\d.]+) standard/.exec(await bench.studio.text(".heatmap .value"))!;
    expect(Number(read[2]) * (read[1] === "−" ? -1 : 1)).toBeCloseTo((values[17]! - mean) / std, 1);
    const safetensors = (await bench.studio.saved("Save latent as .safetensors")).file;
    const header = JSON.parse(safetensors.subarray(8, 8 + Number(safetensors.readBigUInt64LE(0))).toString()) as Record<string, { shape: number[] }>;
    expect(header.latent!.shape).toEqual([16, 16]);
  });

  it("patches are hidden by slider, brush and keys, and what is hidden has no part in the picture", async () => {
    await open();
    await bench.take(ONE);
    const plain = await bench.look();
    const psnr = await bench.psnr();
    await bench.press("Hide all");
    const blind = await bench.look();
    expect(blind).not.toBe(plain);
    expect(await bench.psnr()).toBeLessThan(psnr - 3);
    expect(await bench.studio.text(".changes")).toBe("Not the plain reconstruction: 64 of 64 patches hidden.");
    await bench.take(OTHER);
    expect(await bench.look(), "of nothing seen nothing is told").toBe(blind);
    await bench.take(ONE);
    await bench.press("Show all");
    expect([await bench.look(), await bench.psnr()]).toEqual([plain, psnr]);

    // Half of the patches by chance lie between all and none; the same again from the link.
    await bench.fill("#mask-share", "50");
    expect(await bench.studio.text("output[for=mask-share]")).toBe("32 of 64");
    const half = await bench.look();
    expect(await bench.psnr()).toBeLessThan(psnr);
    await bench.press("Invert");
    expect(await bench.studio.text("output[for=mask-share]")).toBe("32 of 64");
    expect(await bench.look()).not.toBe(half);
    await bench.press("Invert");
    expect(await bench.look()).toBe(half);
    await bench.press("Show all");

    // A stroke from the first patch to the last of the first row; then back over two of them, which were hidden.
    await bench.drag(".veil", [0.05, 0.05], [0.5, 0.05], [0.95, 0.05]);
    expect(await bench.studio.text("output[for=mask-share]")).toBe("8 of 64");
    await bench.drag(".veil", [0.05, 0.05], [0.18, 0.05]);
    expect(await bench.studio.text("output[for=mask-share]")).toBe("6 of 64");
    expect(await bench.studio.colour(".veil", 0.9, 0.06)).not.toEqual([0, 0, 0]);
    const painted = await bench.look();
    expect(painted).not.toBe(plain);
    await bench.press("Show all");
    // The same six with the keys.
    await bench.keys(".veil", "PageUp", "Home", "ArrowRight", "ArrowRight", " ", "ArrowRight", " ", "ArrowRight", " ", "ArrowRight", " ", "ArrowRight", " ", "ArrowRight", " ");
    expect(await bench.studio.text(".where")).toBe("Patch in row 1, column 8: hidden.");
    expect(await bench.look()).toBe(painted);
    await bench.studio.until(() => location.hash.includes("reconstruct.brush=cf"));
    await bench.press("Take all this back");
    expect(await bench.look()).toBe(plain);
  });

  it("tokens are left out, shuffled and made noisy, and undo takes it back", async () => {
    await open();
    await bench.take(OTHER);
    await bench.fill("#keep", "0");
    const nothing = await bench.look();
    expect(await bench.studio.text(".changes")).toContain("16 of 16 tokens left out");
    await bench.take(ONE);
    expect(await bench.look(), "with no token left every picture is the same").toBe(nothing);
    await bench.fill("#keep", "16");
    const plain = await bench.look();
    expect(await bench.studio.text("output[for=keep]")).toBe("16 of 16");
    await bench.studio.until(() => !location.hash.includes("keep"));
    // The third token by the keys, and back by the mouse.
    await bench.keys(".heat", "ArrowDown", "ArrowDown", " ");
    expect(await bench.studio.text(".heatmap .value")).toBe("Token 3: left out, so all its numbers are the training mean.");
    expect(await bench.studio.text(".changes")).toContain("1 of 16 tokens left out");
    const without = await bench.look();
    expect(without).not.toBe(plain);
    await bench.press("Put back token 3");
    expect(await bench.look()).toBe(plain);
    // With the mouse, in the third of sixteen rows below the column's labels.
    const height = await bench.page.$eval(".heat", (canvas) => canvas.clientHeight);
    await bench.drag(".heat", [0.5, (18 + (2.5 * (height - 18)) / 16) / height]);
    expect(await bench.look()).toBe(without);
    await bench.press("Put back token 3");
    await bench.press("Shuffle the tokens");
    expect(await bench.look()).not.toBe(plain);
    await bench.press("Restore their order");
    expect(await bench.look()).toBe(plain);
    const psnr = await bench.psnr();
    let worse = psnr;
    for (const noise of ["0.3", "1", "2.5"]) {
      await bench.fill("#latent-noise", noise);
      const now = await bench.psnr();
      expect(now).toBeLessThan(worse);
      worse = now;
    }
    const noisy = await bench.look();
    await bench.page.click("button[aria-label='Other noise']");
    await bench.settled();
    expect(await bench.look()).not.toBe(noisy);
    await bench.page.keyboard.down("Control");
    await bench.page.keyboard.press("z");
    await bench.page.keyboard.up("Control");
    await bench.settled();
    expect(await bench.look()).toBe(noisy);
    await bench.press("Take all this back");
    expect([await bench.look(), await bench.psnr()]).toEqual([plain, psnr]);
  });

  it("ranks the tokens by what they change, as it can be measured by hand", async () => {
    await open();
    await bench.take(ONE);
    const plain = await bench.pixels();
    await bench.press("Rank all tokens");
    await bench.studio.appears(".ranking li");
    const list = () => bench.page.$$eval(".rank", (found) => found.map((button) => ({ place: Number((button as HTMLElement).dataset.place), size: Number(button.querySelector(".size")!.textContent) })));
    const ranking = await list();
    expect(ranking.map(({ place }) => place).sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i));
    expect(ranking.map(({ size }) => size)).toEqual(ranking.map(({ size }) => size).sort((a, b) => b - a));
    // Each token by hand: left out by its button, the saved picture against the plain one.
    const measured: { place: number; size: number }[] = [];
    for (const { place } of [ranking[0]!, ranking[1]!, ranking[15]!]) {
      await bench.page.$eval(`.rank[data-place="${place}"]`, (button) => (button as HTMLElement).click());
      await bench.studio.reads(".effect figcaption", new RegExp(`Without token ${place + 1}: .*; [\\d.]+ of 255`));
      await bench.press(`Leave out token ${place + 1}`);
      measured.push({ place, size: meanDifference(plain, await bench.pixels()) });
      await bench.press(`Put back token ${place + 1}`);
    }
    measured.forEach(({ size }, i) => expect(Math.abs(size - ranking[[0, 1, 15][i]!]!.size)).toBeLessThanOrEqual(0.06));
    expect(Math.max(...measured.map(({ size }) => size))).toBe(measured[0]!.size);
    expect(await bench.page.$eval(".sweep > .hint", (hint) => getComputedStyle(hint).visibility), "it says that it is of before").toBe("visible");
    // Pointing at a row of the table shows what its token changes, and that map can be saved.
    await bench.keys(".heat", "ArrowDown");
    await bench.studio.reads(".effect figcaption", /Without token \d+: /);
    expect(decode((await bench.studio.saved("Save map as PNG")).file).width).toBe(128);
  });

  it("shows the original under a wipe, and the error with its sign", async () => {
    await open();
    await bench.take(file("halves.png", halves(128, 128)));
    const reconstruction = await bench.look();
    await bench.page.click(".result .segments input[value=wipe]");
    await bench.fill(".below input[type=range]", "0");
    const [none] = [await bench.look()];
    expect(none).toBe(reconstruction);
    await bench.fill(".below input[type=range]", "100");
    expect(await bench.look()).toBe(await bench.fingerprint(".figures .picture"));
    await bench.drag(".wiped", [0.7, 0.5], [0.25, 0.5]);
    await bench.studio.until(() => location.hash.includes("reconstruct.wipe=25"));
    expect(await bench.studio.colour(".wiped", 0.1, 0.5)).toEqual([200, 30, 30]);

    await bench.page.click(".result .segments input[value=error]");
    const original = decode((await bench.studio.saved("Save original as PNG")).file);
    const after = await bench.pixels();
    const range = Number(/\+(\d+)/.exec(await bench.studio.text(".below .marks"))![1]);
    expect([8, 16, 32, 64, 128, 255]).toContain(range);
    const map = decode((await bench.studio.saved("Save error map as PNG")).file);
    // Where the reconstruction is brighter, the map is red, and blue where it is darker.
    let [right, wrong] = [0, 0];
    for (let i = 0; i < map.rgb.length; i += 3) {
      const brighter = [0.2126, 0.7152, 0.0722].reduce((sum, part, c) => sum + part * (after.rgb[i + c]! - original.rgb[i + c]!), 0);
      if (Math.abs(brighter) < range / 20) continue;
      if (map.rgb[i]! > map.rgb[i + 2]! === brighter > 0) right++;
      else wrong++;
    }
    expect(wrong).toBe(0);
    expect(right).toBeGreaterThan(100);
    // The pixel under the cursor, in numbers.
    await bench.page.focus(".figures figure:nth-child(2) .picture[role=application]");
    await bench.page.keyboard.press("ArrowRight");
    const signed = (value: number) => (value === 0 ? "0" : `${value < 0 ? "−" : "+"}${Math.abs(value)}`);
    const [red, green, blue] = [3, 4, 5].map((i) => signed(after.rgb[i]! - original.rgb[i]!));
    expect(await bench.studio.text(".pixel")).toBe(`Pixel 2 across, 1 down: red ${red}, green ${green}, blue ${blue} (of 255)`);
  });

  it("the square is moved and resized by keys, slider and pointer", async () => {
    await open();
    await bench.take(file("wide.png", halves(400, 200)));
    const original = ".figures .picture";
    const ends = async () => [await bench.studio.colour(original, 0.1, 0.5), await bench.studio.colour(original, 0.9, 0.5)].map(([red, , blue]) => (red! > blue! ? "red" : "blue"));
    expect(await ends()).toEqual(["red", "blue"]);
    const before = await bench.look();
    await bench.keys(".overview", ...Array<string>(13).fill("ArrowLeft"));
    expect(await ends()).toEqual(["red", "red"]);
    expect(await bench.look()).not.toBe(before);
    expect(await bench.studio.text("output[for=crop-size]")).toBe("200 px");
    await bench.drag(".overview", [0.25, 0.5], [0.9, 0.5]);
    expect(await ends()).toEqual(["blue", "blue"]);
    // The upper left corner towards the lower right one, which stays where it is.
    await bench.drag(".overview", [0.505, 0.01], [0.75, 0.5]);
    await bench.studio.until(() => /reconstruct\.crop=30\d%2C10\d%2C(9\d|10\d)/.test(location.hash));
    await bench.fill("#crop-size", "20");
    expect(await bench.studio.text("output[for=crop-size]")).toBe("40 px");
    expect(await bench.studio.text(".command")).toBe("maetok reconstruct wide-original.png --out wide-reconstruction.png");
    await bench.press("Middle");
    expect([await ends(), await bench.look()]).toEqual([["red", "blue"], before]);
    // Another picture begins in its middle.
    await bench.keys(".overview", "ArrowLeft");
    await bench.take(ONE);
    await bench.studio.until(() => !location.hash.includes("crop"));
  });

  it("a link brings the settings, asks for the picture, and gives what its sender saw", async () => {
    await open();
    await bench.take(ONE);
    await bench.fill("#mask-share", "40");
    await bench.keys(".heat", "ArrowDown", " ");
    await bench.fill("#latent-noise", "0.25");
    // Firefox changes what is read from a canvas a little, in each context otherwise: the saved files are compared.
    const sent = [await bench.studio.text(".changes"), await bench.studio.text(".scores strong"), await bench.pixels()];
    await bench.studio.until(() => location.hash.includes("noise=0.25"));
    const hash = await bench.hash();
    await bench.studio.close();
    await open({ panel: undefined as never, query: hash, bare: true });
    await bench.studio.ready("reconstruct");
    const asking = await bench.studio.text(".asking");
    expectSentence(asking);
    expect(asking).toMatch(/not the picture: choose one/);
    await bench.take(ONE);
    expect([await bench.studio.text(".changes"), await bench.studio.text(".scores strong"), await bench.pixels()]).toEqual(sent);
    expect(await bench.page.$eval(".asking", (sentence) => (sentence as HTMLElement).hidden)).toBe(true);
    await bench.studio.close();

    // What cannot be is left out with a sentence; what is too much for this model is cut to what it has.
    await open({ panel: undefined as never, query: `#panel=reconstruct&reconstruct.crop=16384,16384,16384&reconstruct.drop=${"f".repeat(1000)}&reconstruct.noise=99&reconstruct.brush=xyz&reconstruct.order=-1`, bare: true });
    const sentence = await bench.studio.nextAlert();
    expectSentence(sentence);
    expect(sentence).toContain("reconstruct.noise");
    await bench.studio.dismiss();
    await bench.studio.ready("reconstruct");
    await bench.take(ONE);
    expect(await bench.studio.text(".changes")).toBe("Not the plain reconstruction: 16 of 16 tokens left out.");
  });

  it("takes one of the model's own pictures, and says so when it does not come", async () => {
    await open();
    await bench.page.click(".sample[aria-label=Lorelei]");
    await bench.studio.scores();
    await bench.settled();
    const sample = await bench.look();
    await bench.take(ONE);
    expect(await bench.look(), "it is the same file").toBe(sample);
    server.faults.set("thumbnails/hearts.webp", "missing");
    await bench.page.$eval(".sample[aria-label=Hearts]", (button) => (button as HTMLElement).click());
    // A browser that has the file in its cache is content with it.
    await bench.studio.until(() => document.querySelector(".alert p") !== null || document.querySelector(".command")?.textContent?.includes("hearts"));
    const [sentence] = await bench.studio.alerts();
    if (sentence) expectSentence(sentence);
    bench.studio.complaints.length = 0;
  });

  it("takes a picture from the camera, ends it, and says why when there is none", async () => {
    const { page } = await open();
    const camera = (how: "refused" | "missing" | "taken" | "there") =>
      page.evaluate((how) => {
        const names = { refused: "NotAllowedError", missing: "NotFoundError", taken: "NotReadableError", there: "" };
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [160, 120];
        const context = canvas.getContext("2d")!;
        const draw = () => {
          context.fillStyle = "#c02020";
          context.fillRect(0, 0, 80, 120);
          context.fillStyle = "#2020c0";
          context.fillRect(80, 0, 80, 120);
        };
        const getUserMedia = () => {
          if (how !== "there") return Promise.reject(new DOMException("no", names[how]));
          draw();
          const stream = canvas.captureStream(25);
          setInterval(draw, 40);
          const [track] = stream.getTracks();
          const { stop } = track!;
          track!.stop = () => {
            document.body.dataset.stopped = "yes";
            stop.call(track);
          };
          return Promise.resolve(stream);
        };
        Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: { getUserMedia } });
      }, how);
    for (const [how, words] of [["refused", /^The camera was refused to this page\. Allow it/], ["missing", /^No camera was found\./], ["taken", /cannot be started/]] as const) {
      await camera(how);
      await bench.studio.press("Use the camera");
      const sentence = await bench.studio.nextAlert();
      expectSentence(sentence);
      expect(sentence).toMatch(words);
      await bench.studio.dismiss();
    }
    await page.evaluate(() => Object.defineProperty(navigator, "mediaDevices", { configurable: true, value: undefined }));
    await bench.studio.press("Use the camera");
    expect(await bench.studio.nextAlert()).toMatch(/only to pages on https/);
    await bench.studio.dismiss();

    await camera("there");
    await bench.studio.press("Use the camera");
    await bench.studio.until(() => (document.querySelector("video")?.videoWidth ?? 0) > 0 && document.querySelector("video")!.currentTime > 0);
    expect(await page.$eval("video", (video) => getComputedStyle(video).transform), "as in a mirror").toBe("matrix(-1, 0, 0, 1, 0, 0)");
    await bench.studio.press("Take the picture");
    await bench.studio.scores();
    await bench.settled();
    expect(await page.evaluate(() => document.body.dataset.stopped)).toBe("yes");
    // Not mirrored in the file: red is left, as the camera has it.
    const [red, , blue] = await bench.studio.colour(".figures .picture", 0.1, 0.5);
    expect(red! - blue!).toBeGreaterThan(60);

    // Whoever goes to another panel is not looked at any more.
    await page.evaluate(() => delete document.body.dataset.stopped);
    await bench.studio.press("Use the camera");
    await bench.studio.until(() => (document.querySelector("video")?.videoWidth ?? 0) > 0);
    await bench.studio.show("generate");
    expect(await page.evaluate(() => document.body.dataset.stopped)).toBe("yes");
  });

  it("follows the last of many changes, without doing all of them", async () => {
    await open();
    await bench.take(ONE);
    await bench.fill("#mask-share", "61");
    const want = await bench.look();
    await bench.fill("#mask-share", "5");
    const asked = await bench.page.evaluate(() => {
      let count = 0;
      const { postMessage } = Worker.prototype;
      Worker.prototype.postMessage = function (...message: [never]) {
        if ((message[0] as { kind: string }).kind === "encode") document.body.dataset.encoded = String(++count);
        return postMessage.apply(this, message);
      };
      const slider = document.querySelector<HTMLInputElement>("#mask-share")!;
      for (let share = 1; share <= 61; share++) {
        slider.value = String(share);
        slider.dispatchEvent(new Event("input", { bubbles: true }));
      }
      return count;
    });
    expect(asked).toBeLessThanOrEqual(1);
    await bench.settled();
    expect(await bench.look()).toBe(want);
    expect(Number(await bench.page.evaluate(() => document.body.dataset.encoded))).toBeLessThanOrEqual(3);
  });

  it("a picture that cannot be read leaves everything as it was", async () => {
    await open();
    await bench.take(ONE);
    await bench.fill("#keep", "9");
    const before = [await bench.look(), await bench.studio.text(".scores"), await bench.studio.text(".command")];
    await bench.studio.upload(file("none.png", "not a picture"));
    expectSentence(await bench.studio.nextAlert());
    await bench.studio.dismiss();
    expect([await bench.look(), await bench.studio.text(".scores"), await bench.studio.text(".command")]).toEqual(before);
    await bench.take(file("own.png", pattern(90, 70)));
    expect(await bench.studio.text("output[for=keep]")).toBe("9 of 16");
  });
});

describe("what the reconstruction looks like", () => {
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

  describe.each([320, 768, 1280])("%d pixels wide", (width) => {
    it.each(["light", "dark"])("%s", async (mode) => {
      const studio = await Studio.open(browser, server.origin, folder, { panel: "reconstruct", width, dark: mode === "dark" });
      const bench = new Bench(studio);
      const { page } = studio;
      const shot = async (name: string) => {
        await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {}))));
        await page.screenshot({ path: join(SHOTS, `reconstruct-${name}-${width}-${mode}.png`), fullPage: true });
        expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), "nothing to scroll to sideways").toBe(0);
      };
      await page.$$eval("img", (images) => images.forEach((image) => (image.loading = "eager")));
      await shot("empty");
      const wide = join(folder, "wide.png");
      writeFileSync(wide, halves(300, 200));
      await bench.take(ONE);
      await shot("plain");
      await bench.fill("#mask-share", "50");
      await bench.fill("#latent-noise", "0.3");
      await bench.keys(".heat", "ArrowDown", "ArrowDown", " ", "ArrowDown");
      await bench.press("Rank all tokens");
      await studio.appears(".ranking li");
      await page.click(".result .segments input[value=error]");
      await shot("edited");
      await page.$eval(".heat", (canvas) => canvas.scrollIntoView({ block: "center" }));
      await page.screenshot({ path: join(SHOTS, `reconstruct-scrolled-${width}-${mode}.png`) });
      await page.click(".result .segments input[value=wipe]");
      await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
      await bench.take(wide);
      await shot("wipe");
      expect(readdirSync(SHOTS)).toContain(`reconstruct-wipe-${width}-${mode}.png`);
      await studio.close();
    });
  });
});
