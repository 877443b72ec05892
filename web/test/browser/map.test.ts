/** The map of latents in Chromium and Firefox: its points, a picture of one's own and a run among them, and what can go wrong. */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, KeyInput } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { decode, pattern } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { expectSentence, type OpenOptions, Studio, temporaryFolder } from "./studio.ts";

const SHOTS = fileURLToPath(new URL("../../screenshots/", import.meta.url));

interface Index {
  count: number;
  width: number;
  scale: number;
  classes: number[];
  held_out: number[];
  sprite: { file: string; side: number; columns: number };
}

const manifest = () => JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as { files: { path: string; size: number; sha256: string }[]; map?: string; classes: { name: string; label: string; thumbnail: string }[]; latent_mean: number; latent_std: number };
const index = () => JSON.parse(readFileSync(join(MODEL, "map/map.json"), "utf8")) as Index;

/** `Component 1: 2.31 σ, component 2: -0.45 σ.` */
function place(text: string): [number, number] {
  const [, x, y] = /omponent \d+: (-?[\d.]+)\sσ, component \d+: (-?[\d.]+)\sσ/.exec(text) ?? [];
  expect(x, text).toBeDefined();
  return [Number(x), Number(y)];
}

describe.each<BrowserName>(["chromium", "firefox"])("the map in %s", (name) => {
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
  const open = async (options: OpenOptions = {}) => (studio = await Studio.open(browser, server.origin, folder, { panel: "map", ...options }));
  const openLink = async (link: string) => {
    studio = await Studio.open(browser, server.origin, folder, { query: `#panel=map&${link}`, bare: true });
    await studio.ready("map");
    return studio;
  };
  const load = async () => {
    await studio!.page.click(".map-door button");
    await studio!.appears(".world .plot, .card > .alert p");
    expect(await studio!.alerts()).toEqual([]);
  };
  const chosen = () => studio!.text(".map-readout .chosen");
  const status = () => studio!.text("[role=status].visually-hidden");
  const neighbours = () =>
    studio!.page.$$eval(".neighbour", (found) =>
      found.map((one) => ({ index: Number((one as HTMLElement).dataset.index), name: one.querySelector(".name")!.textContent!, distance: Number.parseFloat(one.querySelector(".distance")!.textContent!) })),
    );
  /** The latents in the file, in standard deviations. */
  const latents = () => {
    const { count, width, scale } = index();
    const bytes = readFileSync(join(MODEL, "map/latents.bin"));
    return Array.from({ length: count }, (_, row) => Float64Array.from({ length: width }, (_, i) => bytes.readInt8(row * width + i) * scale));
  };
  const apart = (a: ArrayLike<number>, b: ArrayLike<number>) => Math.sqrt(Array.from(a).reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);
  /** Listens to the worker from now on; what it said is in `heard`. */
  const eavesdrop = () =>
    studio!.page.evaluate(() => {
      const heard: { fits: { rows: Float32Array; width: number }[]; codes: { codes: Float32Array; count: number }[]; clean: Float32Array[]; state: Float32Array[]; encoded: Float32Array[] } = { fits: [], codes: [], clean: [], state: [], encoded: [] };
      (window as unknown as { heard: typeof heard }).heard = heard;
      const known = new WeakSet<Worker>();
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function (this: Worker, message: { kind: string; rows: Float32Array; width: number }, ...rest: unknown[]) {
        if (message.kind === "fit") heard.fits.push({ rows: message.rows, width: message.width });
        if (!known.has(this)) {
          known.add(this);
          this.addEventListener("message", ({ data }) => {
            if (data.kind === "fitted") heard.codes.push({ codes: data.codes.slice(), count: data.count });
            if (data.kind === "encoded") heard.encoded.push(data.latents.slice());
            if (data.kind === "step") (heard.clean.push(data.step.clean.slice()), heard.state.push(data.step.state.slice()));
          });
        }
        return (post as (...all: unknown[]) => void).call(this, message, ...rest);
      } as typeof post;
    });
  /** What a latent is projected to, reckoned from the fit alone: the components are (X − μ)ᵀy / |y|². */
  const projected = (which: "clean" | "state" | "encoded", { latent_mean: mean, latent_std: std } = manifest()) =>
    studio!.page.evaluate(
      (which, mean, std) => {
        const { heard } = window as unknown as { heard: { fits: { rows: Float32Array; width: number }[]; codes: { codes: Float32Array; count: number }[]; clean: Float32Array[]; state: Float32Array[]; encoded: Float32Array[] } };
        const { rows, width } = heard.fits[0]!;
        const { codes, count } = heard.codes[0]!;
        const n = rows.length / width;
        const centre = new Float64Array(width);
        for (let r = 0; r < n; r++) for (let i = 0; i < width; i++) centre[i]! += rows[r * width + i]! / n;
        const latent = heard[which].at(-1)!;
        return [0, 1].map((axis) => {
          const component = new Float64Array(width);
          let norm = 0;
          for (let r = 0; r < n; r++) {
            const y = codes[r * count + axis]!;
            norm += y * y;
            for (let i = 0; i < width; i++) component[i]! += (rows[r * width + i]! - centre[i]!) * y;
          }
          return component.reduce((sum, c, i) => sum + (c / norm) * ((latent[i]! - mean) / std - centre[i]!), 0);
        });
      },
      which,
      mean,
      std,
    );
  const key = async (key: KeyInput, times = 1) => {
    for (let i = 0; i < times; i++) await studio!.page.keyboard.press(key);
  };
  const finished = async () => {
    await studio!.until(() => !document.querySelector("#panel-map .card.running") && document.querySelector(".map-below .task")?.hasAttribute("hidden"));
    expect(await studio!.alerts()).toEqual([]);
  };
  /** Whether what `zoom` and place the link names is shown: the address is written a little later. */
  const setting = (name: string) => studio!.page.evaluate((name) => new URLSearchParams(location.hash.slice(1)).get(`map.${name}`), name);

  it("asks before it loads, shows every picture once, and orders the axes by what they hold", async () => {
    const { page } = await open();
    const { files } = manifest();
    const size = files.filter(({ path }) => path.startsWith("map/")).reduce((sum, file) => sum + file.size, 0);
    expect(server.requests.filter((path) => path.includes("/map/"))).toEqual([]);
    expect(await studio!.text(".map-door button")).toBe(`Load the map, ${(size / 1e6).toFixed(1)} MB`);
    await eavesdrop();
    await load();
    const { count, width, classes, held_out } = index();
    expect(await page.evaluate(() => (window as unknown as { heard: { codes: { codes: Float32Array; count: number }[] } }).heard.codes.map(({ codes, count }) => [codes.length / count, count]))).toEqual([[count, Math.min(8, width)]]);
    const shares = await page.$$eval("#map-across option", (found) => found.map((option) => Number(/: ([\d.]+) %/.exec(option.textContent!)![1])));
    expect(shares).toHaveLength(8);
    expect([...shares].sort((a, b) => b - a)).toEqual(shares);
    expect(shares[0]!).toBeGreaterThan(shares[7]!);
    expect(shares.reduce((a, b) => a + b)).toBeLessThan(100);
    // The table says the same of the classes as the file.
    await page.click(".class-table summary");
    await studio!.appears(".figures tbody tr");
    const rows = await page.$$eval(".figures tbody tr", (found) => found.map((row) => [...row.children].map((cell) => cell.textContent!)));
    expect(rows).toHaveLength(new Set(classes).size);
    const data = latents();
    rows.forEach(([label, pictures, heldOut, , , spread], k) => {
      const members = data.filter((_, i) => classes[i] === k);
      const centre = Float64Array.from({ length: width }, (_, i) => members.reduce((sum, row) => sum + row[i]!, 0) / members.length);
      expect(label).toBe(manifest().classes[k]!.label);
      expect([Number(pictures), Number(heldOut)]).toEqual([members.length, held_out.filter((out, i) => out === 1 && classes[i] === k).length]);
      expect(Number.parseFloat(spread!)).toBeCloseTo(Math.sqrt(members.reduce((sum, row) => sum + apart(row, centre) ** 2, 0) / members.length), 1);
    });
    // A second visit takes it from the cache.
    await page.reload();
    await studio!.ready("map");
    server.requests.length = 0;
    await load();
    expect(server.requests.filter((path) => path.includes("/map/"))).toEqual([]);
  });

  it("is walked with the keys, says where one is, and lists who is nearest in truth", async () => {
    const { page } = await open();
    await load();
    await page.focus(".plot");
    const caption = () => studio!.text(".map-caption");
    await key("ArrowRight");
    const first = await caption();
    expect(first).toMatch(/^.+: component 1 at -?[\d.]+ σ, component 2 at -?[\d.]+ σ\.$/);
    expect(await status()).toBe(first);
    const x = async () => Number(/component 1 at (-?[\d.]+)/.exec(await caption())![1]);
    const before = await x();
    await key("ArrowRight", 5);
    expect(await x()).toBeGreaterThan(before);
    const right = await x();
    await key("ArrowLeft", 3);
    expect(await x()).toBeLessThan(right);
    // At the edge it stays where it is.
    await key("ArrowUp", 80);
    const top = await caption();
    await key("ArrowUp");
    expect(await caption()).toBe(top);
    await key("Enter");
    const [nearest] = await neighbours();
    expect(await status()).toMatch(/ Nearest: .+ σ; .+ σ; .+ σ\.$/);
    expect(await chosen()).toMatch(/The model (learnt from|never saw) this picture\./);
    // Which point it is, is found by its neighbour's neighbours: the whole list is checked against the file.
    await page.click(".neighbour");
    const data = latents();
    const truth = data.map((row, i) => ({ index: i, distance: apart(row, data[nearest!.index]!) })).filter(({ index }) => index !== nearest!.index).sort((a, b) => a.distance - b.distance).slice(0, 6);
    const listed = await neighbours();
    expect(listed.map(({ index }) => index)).toEqual(truth.map(({ index }) => index));
    listed.forEach(({ distance }, i) => expect(distance).toBeCloseTo(truth[i]!.distance, 1));
    expect(listed[0]!.distance).toBeLessThanOrEqual(listed[5]!.distance);
    await page.select("#map-count", "3");
    expect(await neighbours()).toHaveLength(3);
    await page.focus(".plot");
    await key("Escape");
    expect(await chosen()).toMatch(/^Point at the map/);
  });

  it("zooms and moves, with wheel, mouse, keys and buttons, and keeps the view in the link", async () => {
    const { page } = await open();
    await load();
    await page.$eval(".plot", (plot) => plot.scrollIntoView({ block: "center" }));
    const whole = await studio!.look(".plot");
    const box = (await (await page.$(".plot"))!.boundingBox())!;
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const changed = async (from: string) => {
      await studio!.until((from) => (document.querySelector(".plot") as HTMLCanvasElement).toDataURL() !== from, [from], 20_000);
      return studio!.look(".plot");
    };
    const pixels = async () => {
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      return decode(Buffer.from((await studio!.look(".plot")).split(",")[1]!, "base64"));
    };
    await page.mouse.move(middle.x, middle.y);
    await page.mouse.wheel({ deltaY: -600 });
    await studio!.until(() => /map\.zoom=3\.3/.test(location.hash), [], 20_000);
    const closer = await studio!.look(".plot");
    expect(closer).not.toBe(whole);
    await page.mouse.down();
    await page.mouse.move(middle.x - 90, middle.y + 40, { steps: 4 });
    await page.mouse.up();
    // What was drawn to the left and down has the middle of what is seen go to the right and up.
    await studio!.until(() => Number(/map\.x=([\d.-]+)/.exec(location.hash)?.[1]) > 0.5 && Number(/map\.y=([\d.-]+)/.exec(location.hash)?.[1]) > 0.2, [], 20_000);
    // Without the picture of the point that is pointed at.
    await page.mouse.move(0, 0);
    await studio!.reads(".map-caption", /^The map is ready/);
    await changed(closer);
    const moved = await pixels();
    // The same link shows the same part.
    await page.reload();
    await studio!.ready("map");
    await load();
    const again = await pixels();
    expect([again.width, again.height]).toEqual([moved.width, moved.height]);
    const others = moved.rgb.reduce((count, value, i) => count + Number(Math.abs(value - again.rgb[i]!) > 60), 0);
    // The link has four digits after the point: marks may be a fraction of a pixel elsewhere.
    expect(others / moved.rgb.length).toBeLessThan(0.01);
    expect(Number(await setting("zoom"))).toBeCloseTo(3.32, 1);
    await page.focus(".plot");
    await key("0");
    await studio!.until(() => !/map\.zoom/.test(location.hash), [], 20_000);
    await key("+");
    await studio!.until(() => /map\.zoom=1\.5/.test(location.hash), [], 20_000);
    await key("-");
    await studio!.until(() => !/map\.zoom/.test(location.hash), [], 20_000);
    await page.click("[aria-label=Closer]");
    await studio!.until(() => /map\.zoom=1\.5/.test(location.hash), [], 20_000);
    await page.click("[aria-label='Whole map']");
    await studio!.until(() => !/map\.zoom/.test(location.hash), [], 20_000);
  });

  it("is moved with fingers: one scrolls the page until there is somewhere to go, two zoom, a tap chooses", async () => {
    // Firefox ESR 140 can be told of no fingers.
    if (name === "firefox") return;
    const { page } = await open();
    await load();
    const cdp = await page.createCDPSession();
    await cdp.send("Emulation.setTouchEmulationEnabled", { enabled: true, maxTouchPoints: 2 });
    await page.$eval(".plot", (plot) => plot.scrollIntoView({ block: "center" }));
    const box = (await (await page.$(".plot"))!.boundingBox())!;
    const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", ...fingers: [number, number][]) =>
      cdp.send("Input.dispatchTouchEvent", { type, touchPoints: fingers.map(([dx, dy], id) => ({ x: middle.x + dx, y: middle.y + dy, id })) });
    await touch("touchStart", [0, 0]);
    await touch("touchEnd");
    await studio!.appears(".neighbour");
    expect(await chosen()).toMatch(/The model (learnt from|never saw) this picture\./);
    expect(await setting("zoom")).toBeNull();
    await touch("touchStart", [-40, 0], [40, 0]);
    for (const apart of [60, 80, 100, 120]) await touch("touchMove", [-apart, 0], [apart, 0]);
    await touch("touchEnd");
    await studio!.until(() => /map\.zoom=(2\.[5-9]|3)/.test(location.hash), [], 20_000);
    const scrolled = () => page.evaluate(() => scrollY);
    const before = await scrolled();
    const place = Number(await setting("y"));
    await touch("touchStart", [0, 0]);
    for (const down of [20, 40, 60, 80]) await touch("touchMove", [0, down]);
    await touch("touchEnd");
    await studio!.until((place) => Number(/map\.y=([\d.-]+)/.exec(location.hash)?.[1] ?? 0) > place + 0.3, [place], 20_000);
    expect(await scrolled(), "the map went, the page stayed").toBe(before);
  });

  it("shows a class alone, one kind of pictures, other axes, and takes that back", async () => {
    const { page } = await open();
    await load();
    /** How much of the canvas is coloured. */
    const colour = () =>
      page.evaluate(
        () =>
          new Promise<number>((resolve) =>
            requestAnimationFrame(() =>
              requestAnimationFrame(() => {
                const canvas = document.querySelector(".plot") as HTMLCanvasElement;
                const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
                let count = 0;
                for (let i = 0; i < data.length; i += 4) if (Math.max(data[i]!, data[i + 1]!, data[i + 2]!) - Math.min(data[i]!, data[i + 1]!, data[i + 2]!) > 70) count++;
                resolve(count);
              }),
            ),
          ),
      );
    const all = await colour();
    expect(all).toBeGreaterThan(2000);
    await page.type("#map-search", "lorel");
    expect(await page.$$eval(".mark-button", (found) => found.filter((one) => one.checkVisibility()).map((one) => one.textContent))).toEqual(["Lorelei"]);
    await (await studio!.button("Lorelei")).click();
    const alone = await colour();
    expect(alone).toBeGreaterThan(20);
    expect(alone).toBeLessThan(all / 4);
    expect(await page.$eval(".mark-button[aria-pressed=true]", (one) => one.textContent)).toBe("Lorelei");
    // What is seen can be saved.
    const { name: file, file: png } = await studio!.saved("Save the map as PNG");
    const saved = decode(png);
    const canvas = await page.$eval(".plot", (plot) => [(plot as HTMLCanvasElement).width, (plot as HTMLCanvasElement).height]);
    expect([file, saved.width, saved.height]).toEqual(["map.png", ...canvas]);
    expect(saved.rgb.filter((_, i) => i % 3 === 0 && Math.max(...saved.rgb.subarray(i, i + 3)) - Math.min(...saved.rgb.subarray(i, i + 3)) > 70).length).toBe(alone);
    await (await studio!.button("Lorelei")).click();
    await page.select("#map-pictures", "held-out");
    const unseen = await colour();
    expect(unseen).toBeGreaterThan(20);
    expect(unseen).toBeLessThan(all);
    await page.select("#map-pictures", "all");
    // The same axis twice exchanges them.
    await page.select("#map-across", "2");
    const axes = () => page.$$eval("#map-across, #map-up", (found) => found.map((one) => (one as HTMLSelectElement).value));
    expect(await axes()).toEqual(["2", "1"]);
    await page.select("#map-up", "5");
    expect(await axes()).toEqual(["2", "5"]);
    await page.click("[aria-label^=Undo]");
    expect(await axes()).toEqual(["2", "1"]);
    await studio!.fill("#map-search", "dragon");
    expect(await studio!.text(".map-classes > .hint")).toBe("No class is called “dragon”.");
  });

  it("puts a picture of one's own where its latent belongs, next to the same picture", async () => {
    // A map in which one point is what this very picture becomes.
    const picture = join(MODEL, manifest().classes.find(({ name }) => name === "lorelei")!.thumbnail);
    await open();
    await eavesdrop();
    await load();
    await ((await studio!.page.$("#map-picture")) as import("puppeteer-core").ElementHandle<HTMLInputElement>).uploadFile(picture);
    await studio!.appears(".neighbour");
    await finished();
    expect(await chosen()).toMatch(/^Your picture “lorelei”/);
    const here = place(await chosen());
    const reckoned = await projected("encoded");
    reckoned.forEach((value, i) => expect(here[i]!).toBeCloseTo(value, 1));
    const latent = await studio!.page.evaluate(() => [...(window as unknown as { heard: { encoded: Float32Array[] } }).heard.encoded.at(-1)!]);
    const { latent_mean, latent_std } = manifest();
    const standard = latent.map((value) => (value - latent_mean) / latent_std);
    const data = latents();
    const truth = data.map((row, index) => ({ index, distance: apart(row, standard) })).sort((a, b) => a.distance - b.distance).slice(0, 6);
    const listed = await neighbours();
    expect(listed.map(({ index }) => index)).toEqual(truth.map(({ index }) => index));
    console.log(`${name}: the thumbnail of Lorelei lies nearest to ${listed.map((one) => `${one.name} ${one.distance}`).join(", ")}`);
    await studio!.close();

    const { width, scale } = index();
    const bytes = readFileSync(join(MODEL, "map/latents.bin"));
    const at = 1234;
    standard.forEach((value, i) => bytes.writeInt8(Math.max(-127, Math.min(127, Math.round(value / scale))), at * width + i));
    replace("map/latents.bin", bytes);
    await open();
    await load();
    // Dropped, this time.
    await studio!.give("drop", ".plot", { name: "mine.webp", file: readFileSync(picture) });
    await studio!.appears(".neighbour");
    const [nearest] = await neighbours();
    expect(nearest!.index).toBe(at);
    // No farther than rounding to bytes, and cutting off what a byte does not hold, makes it.
    const rounded = apart(standard, Float64Array.from({ length: width }, (_, i) => bytes.readInt8(at * width + i) * scale));
    expect(nearest!.distance).toBeCloseTo(rounded, 1);
    expect(nearest!.distance).toBeLessThan(0.1);
    await studio!.page.click(".neighbour");
    const there = place(await chosen());
    const mine = await (async () => {
      await studio!.give("drop", ".plot", { name: "mine.webp", file: readFileSync(picture) });
      await studio!.until(() => /^Your picture/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
      return place(await chosen());
    })();
    expect(Math.hypot(mine[0] - there[0], mine[1] - there[1])).toBeLessThan(1);
  });

  /** Serves other bytes, which the manifest tells of. */
  const replace = (path: string, bytes: Buffer | null) => {
    const json = manifest();
    if (bytes) server.replaced.set(path, bytes);
    json.files = json.files.map((file) => (file.path === path && bytes ? { path, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") } : file));
    server.replaced.set("manifest.json", JSON.stringify(json));
  };

  it("draws a run that ends where its latent belongs, and can be gone along", async () => {
    const { page } = await openLink("map.class=lorelei&map.steps=8&map.seed=7");
    await eavesdrop();
    await load();
    await page.click(".run button[type=submit]");
    await studio!.appears(".scrub:not([hidden])");
    await finished();
    await studio!.until(() => /step 8 of 8/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
    expect(await chosen()).toMatch(/^Run: Lorelei, seed 7/);
    const end = place(await chosen());
    const [clean, state] = [await projected("clean"), await projected("state")];
    end.forEach((value, i) => {
      expect(value).toBeCloseTo(clean[i]!, 1);
      // The last step arrives at its guess.
      expect(clean[i]!).toBeCloseTo(state[i]!, 2);
    });
    expect(await status()).toMatch(/^The run has arrived\. Nearest: /);
    const arrived = await studio!.look(".plot");
    await page.focus("#map-step");
    await key("Home");
    await studio!.until(() => /step 1 of 8/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
    const begin = place(await chosen());
    expect(Math.hypot(begin[0] - end[0], begin[1] - end[1])).toBeGreaterThan(0.1);
    await studio!.until((arrived) => (document.querySelector(".plot") as HTMLCanvasElement).toDataURL() !== arrived, [arrived], 20_000);
    expect(await page.$eval("#map-step", (slider) => slider.getAttribute("aria-valuetext"))).toBe("Guess at step 1 of 8");
    // Every step has its picture, whether it was shown on the way or is painted now.
    await studio!.appears(".map-readout .chosen .thumbnail");
    const thumbnail = await studio!.look(".map-readout .chosen .thumbnail");
    await key("End");
    await studio!.until((first) => {
      const now = document.querySelector<HTMLCanvasElement>(".map-readout .chosen .thumbnail");
      return now !== null && now.toDataURL() !== first;
    }, [thumbnail]);
    const { name: file, file: png } = await studio!.saved("Save the picture as PNG");
    expect([file, decode(png).width]).toEqual(["lorelei-seed7-8steps.png", 128]);
    // Played, it goes from the beginning to the end by itself.
    await studio!.press("Play");
    await studio!.until(() => /step [2-7] of 8/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
    await studio!.until(() => /step 8 of 8/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
    await studio!.button("Play");
    // The same seed in the generator is the same picture.
    await page.evaluate(() => (location.hash = "#panel=generate&generate.class=lorelei&generate.seed=7&generate.steps=8"));
    await studio!.show("generate");
    await studio!.press("Generate");
    await studio!.finished();
    const again = decode((await studio!.saved("Save as PNG")).file);
    const here = decode(png);
    expect(here.rgb.reduce((most, value, i) => Math.max(most, Math.abs(value - again.rgb[i]!)), 0)).toBeLessThanOrEqual(1);
  });

  it("stops a run, keeps its path so far, and refuses what cannot be", async () => {
    const { page } = await open();
    await load();
    await studio!.fill("#map-steps", "1000");
    await page.click(".run button[type=submit]");
    await studio!.until(() => /step \d+ of 1000/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
    await studio!.press("Stop");
    await finished();
    expect(await status()).toMatch(/^Stopped at step \d+ of 1000; its path so far stays\.$/);
    await studio!.fill("#map-seed", "-1");
    await page.click(".run button[type=submit]");
    expectSentence(await studio!.nextAlert());
    await studio!.dismiss();
    await studio!.fill("#map-seed", "1");
    await studio!.fill("#map-steps", "0");
    await page.click(".run button[type=submit]");
    expect(await studio!.nextAlert()).toMatch(/^Steps is 0, but/);
    await studio!.dismiss();
    // A picture that is none.
    await studio!.give("drop", ".plot", { name: "x.png", file: Buffer.from("no picture") });
    expectSentence(await studio!.nextAlert());
    await studio!.dismiss();
    await studio!.give("drop", ".plot", { name: "cut.png", file: pattern(64, 64).subarray(0, 300) });
    expectSentence(await studio!.nextAlert());
  });

  it("says everything in German", async () => {
    const { page } = await open({ query: "?lang=de" });
    const words = () => page.$eval("#panel-map", (panel) => [panel, ...panel.querySelectorAll("*")].flatMap((element) => [...["aria-label", "title", "aria-valuetext", "aria-roledescription"].map((name) => element.getAttribute(name) ?? ""), ...[...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && !element.closest("math, a")).map((node) => node.textContent!)]).filter(Boolean));
    const before = await words();
    await load();
    await studio!.fill("#map-steps", "2");
    await page.focus(".plot");
    await key("ArrowRight");
    await key("Enter");
    await page.click(".run button[type=submit]");
    await studio!.appears(".scrub:not([hidden])");
    await finished();
    await page.click(".class-table summary");
    await studio!.appears(".figures tbody tr");
    const read = [...before, ...(await words()), await status()];
    expect(read.length).toBeGreaterThan(150);
    expect(read.filter((line) => /\b(the|and|with|your|of|picture|pictures|never|component|step|steps|seen|nearest)\b/i.test(line))).toEqual([]);
    expect(await studio!.text("#map-across option")).toMatch(/^Komponente 1: \d+,\d %$/);
  });

  it("is not there where the model brings no map, and a link to it shows another panel", async () => {
    const json = manifest();
    delete json.map;
    server.replaced.set("manifest.json", JSON.stringify(json));
    await open({ bare: true });
    await studio!.appears(".classes input");
    expect(await studio!.page.$("#tab-map")).toBeNull();
    expect(await studio!.shown()).toBe("generate");
  });

  it.each<[string, (server: TestServer) => void, RegExp]>([
    ["damaged on the way", (server) => server.faults.set("map/latents.bin", "flipped byte"), /^The file map\/latents\.bin arrived damaged/],
    ["missing", (server) => server.faults.set("map/pictures.jpg", "missing"), /^The server refused map\/pictures\.jpg \(HTTP 404\)\. Try again later\.$/],
    ["cut off", (server) => server.faults.set("map/map.json", "cut off"), /^The download of map\/map\.json broke off/],
    ["not JSON", () => replace("map/map.json", Buffer.from("<!doctype html>")), /“map\.json” in it is not as it should be/],
    ["of another format", () => replace("map/map.json", changed({ format: 2 })), /“format” in it/],
    ["with a class that is none", () => replace("map/map.json", changed({ classes: index().classes.map(() => 99) })), /“classes” in it/],
    ["with fewer latents", () => replace("map/latents.bin", Buffer.alloc(1000)), /“latents\.bin” in it/],
    ["with a file elsewhere", () => replace("map/map.json", changed({ latents: "../sit/model.safetensors" })), /“\.\.\/sit\/model\.safetensors” in it/],
    ["with pictures that are none", () => replace("map/pictures.jpg", Buffer.from("no picture")), /“pictures\.jpg” in it/],
    ["without end", () => replace("map/map.json", changed({ count: 1e9 })), /“count” in it/],
  ])("says in a sentence that the map is %s, and the page goes on", async (_, spoil, words) => {
    spoil(server);
    await open();
    await studio!.page.click(".map-door button");
    const sentence = await studio!.nextAlert();
    expectSentence(sentence);
    expect(sentence).toMatch(words);
    server.reset();
    expect(await (await studio!.button(await studio!.text(".map-door button"))).isVisible()).toBe(true);
    studio!.complaints.length = 0;
  });

  const changed = (change: object) => Buffer.from(JSON.stringify({ ...index(), format: 1, latents: "latents.bin", ...change }));

  it("stops a download, and a hostile link leaves the usual map", async () => {
    server.faults.set("map/pictures.jpg", "slow");
    await openLink("map.zoom=1e9&map.across=99&map.highlight=<b>&map.seed=-1");
    expect(await studio!.nextAlert()).toBe("A part of this link cannot be used and was left out: map.across, map.highlight, map.zoom, map.seed. The settings it spoke of are the usual ones.");
    await studio!.dismiss();
    await studio!.page.click(".map-door button");
    await studio!.appears(".map-door .task:not([hidden])");
    await studio!.press("Stop");
    await studio!.until(() => document.querySelector(".map-door .task")!.hasAttribute("hidden"));
    expect(await studio!.alerts()).toEqual([]);
    server.reset();
    await load();
    await studio!.page.evaluate(() => (location.hash = "#panel=map&map.across=3&map.up=3&map.highlight=dragon"));
    await studio!.until(() => document.querySelector<HTMLSelectElement>("#map-across")!.value === "3");
    expect(await studio!.page.$$eval("#map-across, #map-up", (found) => found.map((one) => (one as HTMLSelectElement).value))).toEqual(["3", "1"]);
  });

  it("does not hold up input for more than 50 ms of its own", async () => {
    // Firefox does not tell.
    if (name === "firefox") return;
    const { page } = await open();
    await page.tracing.start({ categories: ["devtools.timeline"] });
    await load();
    await page.focus(".plot");
    for (const _ of [1, 2, 3, 4]) await key("ArrowRight", 5);
    await page.click("[aria-label=Closer]");
    await page.click(".run button[type=submit]");
    await studio!.appears(".scrub:not([hidden])");
    await finished();
    const { traceEvents } = JSON.parse(Buffer.from((await page.tracing.stop())!).toString()) as { traceEvents: { name: string; tid: number; pid: number; dur?: number; tdur?: number; args: { name?: string; data?: { functionName?: string; url?: string } } }[] };
    // The time the page's thread computed for: others may have the processor meanwhile. The worker has its own thread.
    const ours = traceEvents.filter((event) => event.name === "FunctionCall" && /\/assets\/(map|index|notice|math|bind|state)-/.test(event.args.data?.url ?? ""));
    const longest = ours.sort((a, b) => b.tdur! - a.tdur!).slice(0, 5);
    expect(ours.length).toBeGreaterThan(100);
    console.log(`longest calls of the map's code: ${longest.map(({ tdur, dur, args }) => `${args.data!.functionName || "(unnamed)"} ${(tdur! / 1000).toFixed(0)} ms (${(dur! / 1000).toFixed(0)} ms on the clock)`).join(", ")}`);
    expect(longest[0]!.tdur! / 1000).toBeLessThan(50);
  });
});

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

  describe.each([320, 768, 1280])("%d pixels wide", (width) => {
    it.each(["light", "dark"])("%s", async (mode) => {
      const query = width === 768 ? "?lang=de" : "";
      const studio = await Studio.open(browser, server.origin, folder, { width, dark: mode === "dark", panel: "map", query });
      const { page } = studio;
      const shot = async (name: string) => {
        writeFileSync(join(SHOTS, `map-${name}-${width}-${mode}.png`), await page.screenshot({ fullPage: true }));
        expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);
      };
      await shot("door");
      await page.click(".map-door button");
      await studio.appears(".world");
      await page.focus(".plot");
      await page.keyboard.press("ArrowRight");
      await shot("whole");
      await page.keyboard.press("Enter");
      await ((await page.$("#map-picture")) as import("puppeteer-core").ElementHandle<HTMLInputElement>).uploadFile(join(MODEL, "thumbnails/lorelei.webp"));
      await studio.until(() => /lorelei/.test(document.querySelector(".map-readout .chosen")?.textContent ?? ""));
      await page.click(".run button[type=submit]");
      await studio.appears(".scrub:not([hidden])");
      await studio.until(() => !document.querySelector("#panel-map .card.running"));
      await page.$$eval("details", (found) => found.forEach((details) => (details.open = true)));
      await shot("used");
      await studio.close();
    });
  });
});
