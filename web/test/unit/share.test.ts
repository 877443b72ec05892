/** What is shared of a run: command lines, file names, texts in pictures, arrays. */

import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { spread } from "../../src/panels/generate/darkroom.ts";
import { blank, evaluations, type Film, requests } from "../../src/panels/generate/film.ts";
import { shares } from "../../src/panels/generate/path.ts";
import { columns, sheet } from "../../src/panels/generate/sheet.ts";
import type { Picture } from "../../src/protocol.ts";
import { finalLatents, times, trajectory } from "../../src/share/arrays.ts";
import { command, quoted } from "../../src/share/command.ts";
import { thin } from "../../src/share/gif.ts";
import { fileName, slug } from "../../src/share/names.ts";
import { read, write } from "../../src/share/recipe.ts";
import { PANEL_NAMES, untouched } from "../../src/state/state.ts";
import { random, someState, someText } from "./random.ts";

const settings = { ...untouched().generate, class: "lorelei", seed: "7" };

describe("a command line", () => {
  it("names every setting", () => {
    expect(command({ ...settings, low: 0.25, high: 0.75, sampler: "sde", count: 4 })).toBe(
      "maetok sample --class lorelei --seed 7 --steps 25 --guidance 2 --interval 0.25,0.75 --sampler sde --grid 4 --out lorelei-seed7.png",
    );
    expect(command({ ...settings, class: "-rf" })).toContain("sample --class=-rf --seed");
  });

  it("is read by a shell as it was meant, whatever the class is called", () => {
    for (const name of ["a b", "it's", "$(id)", "`id`", "a;b", "a\nb", 'x"y', "\\", "*", "~", "", "Blüte (rot)", "'; rm -rf / '"]) {
      const words = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${command({ ...settings, class: name })}`], { encoding: "utf8" }).split("\0");
      expect(words.slice(0, 4)).toEqual(["maetok", "sample", "--class", name]);
      expect(words.at(-3)).toBe("--out");
      expect(words.at(-2)).toMatch(/^[\p{L}\p{N}_.-]+-seed7\.png$/u);
    }
    expect(quoted("")).toBe("''");
  });
});

describe("a file's name", () => {
  it("has the settings in it, and nothing that a file system minds", () => {
    expect(fileName({ ...settings, count: 1 }, ".png")).toBe("lorelei-seed7-25steps-guidance2.png");
    expect(fileName({ ...settings, count: 16, guidance: 2.5 }, ".gif")).toBe("lorelei-seed7-16pictures-25steps-guidance2.5.gif");
    for (const name of ["../../etc", "a/b\\c", ".hidden", "CON:", "", "--"]) expect(slug(name)).toMatch(/^(?![.-])[\p{L}\p{N}_.-]+(?<![.-])$/u);
  });
});

describe("settings inside a picture", () => {
  it("are read as they were written", () => {
    const next = random(7);
    for (let i = 0; i < 300; i++) {
      const state = someState(next);
      for (const panel of PANEL_NAMES) {
        const { live: _, ...kept } = state[panel] as { live?: boolean };
        expect(read(write("A model", panel, state[panel]))).toEqual({ settings: kept, bad: [], model: "A model", panel });
      }
    }
  });

  it("whatever is in them, what comes out is allowed or nothing", () => {
    const next = random(8);
    for (let i = 0; i < 2000; i++) {
      const wild = i % 2 ? someText(next) : JSON.stringify({ maetok: 1, model: someText(next), generate: { class: someText(next), seed: someText(next), steps: 3, low: someText(next), [someText(next)]: someText(next) } });
      const found = read(wild);
      if (!found) continue;
      expect(read(write(found.model, "generate", { ...settings, ...found.settings } as typeof settings))!.settings).toEqual(found.settings);
      expect(found.bad.every((name) => /^generate\.[a-z]+$/.test(name))).toBe(true);
    }
    for (const none of ["", "null", "1", '"x"', "[]", "{}", '{"maetok":1}', '{"maetok":"1","generate":{}}', '{"maetok":1,"generate":[]}', "{".repeat(99999)]) expect(read(none), none.slice(0, 40)).toBeNull();
  });

  it("do not switch the live mode on, nor name what is not theirs", () => {
    expect(JSON.parse(write("m", "generate", { ...settings, live: true })).generate).not.toHaveProperty("live");
    const { live: _, ...kept } = untouched().generate;
    expect(read('{"maetok":1,"generate":{"live":"yes","__proto__":{"seed":"5"},"toString":"x"}}')).toEqual({ model: "", panel: "generate", settings: kept, bad: [] });
  });
});

describe("a run", () => {
  it("is as many requests as pictures, whose seeds count up and begin again after the largest", () => {
    expect(requests({ ...settings, seed: "18446744073709551614", count: 3 }).map(({ seed }) => seed)).toEqual(["18446744073709551614", "18446744073709551615", "0"]);
    expect(requests(settings)[0]).toEqual({ class: "lorelei", seed: "7", steps: 25, guidance: 2, interval: [0, 1], sampler: "euler" });
  });

  it("asks the network twice where it is guided, and twice for Heun", () => {
    expect(evaluations({ ...settings, steps: 10, guidance: 1 })).toBe(10);
    expect(evaluations({ ...settings, steps: 10 })).toBe(20);
    expect(evaluations({ ...settings, steps: 10, low: 0.25, high: 0.75, sampler: "heun" })).toBe(30);
  });

  it("is developed from all over", () => {
    expect(spread(10)).toEqual([0, 8, 4, 2, 6, 1, 3, 5, 7, 9]);
    expect(spread(0)).toEqual([]);
    expect(thin([1, 2, 3], 5)).toEqual([1, 2, 3]);
    expect(thin(Array.from({ length: 100 }, (_, i) => i), 4)).toEqual([0, 33, 66, 99]);
  });

  it("is arrays with the step first, then the picture of a batch", () => {
    const size = { latentTokens: 2, latentChannels: 3 };
    const film = (count: number): Film => {
      const made = blank({ ...settings, count, steps: 2 }, "Lorelei", false);
      for (const index of [1, 2]) made.moments.push({ index, of: 2, t: 1 / index, clean: new Float32Array(6 * count).fill(index), state: new Float32Array(6 * count).fill(-index) });
      return made;
    };
    expect(finalLatents(film(1), size)).toEqual({ name: "latents", shape: [2, 3], values: new Float32Array(6).fill(-2) });
    expect(trajectory(film(1), "clean", size)).toEqual({ name: "clean", shape: [2, 2, 3], values: Float32Array.of(...Array(6).fill(1), ...Array(6).fill(2)) });
    expect(trajectory(film(4), "state", size).shape).toEqual([2, 4, 2, 3]);
    expect(times(film(1))).toEqual({ name: "t", shape: [2], values: Float32Array.of(1, 0.5) });
  });
});

describe("a sheet", () => {
  const picture = (shade: number): Picture => ({ rgba: new Uint8ClampedArray(2 * 2 * 4).fill(shade), width: 2, height: 2 });

  it("is laid out as on the command line: columns, a gap of two white pixels", () => {
    expect([1, 2, 4, 5, 9, 10, 16].map(columns)).toEqual([1, 2, 2, 3, 3, 4, 4]);
    const { rgba, width, height } = sheet([picture(10), picture(20), picture(30)]);
    expect([width, height]).toEqual([10, 10]);
    const at = (x: number, y: number) => rgba[(y * width + x) * 4];
    expect([at(0, 0), at(2, 2), at(4, 2), at(6, 2), at(2, 6), at(6, 6)]).toEqual([255, 10, 255, 20, 30, 255]);
    expect(sheet([picture(5)])).toEqual(picture(5));
  });
});

describe("the path", () => {
  it("goes from noise to picture, straight or along a circle", () => {
    for (const path of ["linear", "cosine"] as const) {
      expect(shares(path, 1).alpha).toBeCloseTo(0, 12);
      expect(shares(path, 0).sigma).toBeCloseTo(0, 12);
      expect([shares(path, 1).sigma, shares(path, 0).alpha]).toEqual([1, 1]);
    }
    const { alpha, sigma } = shares("cosine", 0.3);
    expect(alpha ** 2 + sigma ** 2).toBeCloseTo(1, 12);
    expect(shares("linear", 0.3)).toEqual({ alpha: 0.7, sigma: 0.3 });
  });
});
