/** What the reconstruction does without an engine: masks, edits of a latent, squares, error maps, the command line. */

import { describe, expect, it } from "vitest";
import { countBits, difference, parseBits, printBits } from "../../src/panels/reconstruct/bits.ts";
import { chance, normals, permutation } from "../../src/panels/reconstruct/chance.ts";
import { asCrop, asNumbers, inside, middle, resized, stretched } from "../../src/panels/reconstruct/crop.ts";
import { diverging, painted } from "../../src/panels/reconstruct/diverging.ts";
import { droppedPlaces, edit, type EditSettings, without } from "../../src/panels/reconstruct/edits.ts";
import { brighter, meanDifference, rangeOf } from "../../src/panels/reconstruct/error.ts";
import { ALL } from "../../src/panels/reconstruct/fields.ts";
import { commandLine, quoted } from "../../src/panels/reconstruct/keep.ts";
import { brushFor, hiddenPatches } from "../../src/panels/reconstruct/mask.ts";
import type { Picture } from "../../src/protocol.ts";
import { random } from "./random.ts";

describe("bits", () => {
  it("are written and read back, whatever their number", () => {
    const next = random(3);
    for (const count of [1, 3, 4, 16, 64, 100, 1024]) {
      const bits = Uint8Array.from({ length: count }, () => Number(next() < 0.3));
      expect(parseBits(printBits(bits), count)).toEqual(bits);
    }
  });
  it("none is the empty text, and what a link has too many of is left out", () => {
    expect(printBits(new Uint8Array(64))).toBe("");
    expect([...parseBits("", 3)]).toEqual([0, 0, 0]);
    expect([...parseBits("ffff", 3)]).toEqual([1, 1, 1]);
    expect([...difference(Uint8Array.of(1, 1, 0), Uint8Array.of(1, 0, 0))]).toEqual([0, 1, 0]);
  });
});

describe("chance", () => {
  const numbers = (seed: string, purpose = 1) => Array.from({ length: 5 }, chance(seed, purpose));
  it("is the same for the same seed, and another for another seed or purpose", () => {
    expect(numbers("1")).toEqual(numbers("1"));
    for (const other of [numbers("2"), numbers("1", 2), numbers(String(2n ** 32n + 1n)), numbers(String(2n ** 64n - 1n))]) expect(other).not.toEqual(numbers("1"));
  });
  it("makes normal numbers of mean 0 and deviation 1", () => {
    const values = normals(chance("7", 3), 20_001);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(values.length).toBe(20_001);
    // Five standard errors each.
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(20_001));
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / 20_001));
  });
  it("gives every order the same chance", () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6000; seed++) {
      const order = permutation(chance(String(seed), 2), 3).join("");
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // 1000 each; five standard deviations are 144.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(144);
  });
});

describe("the mask", () => {
  const settings = { share: 0, maskSeed: "5", brush: "" };
  it("hides the share that was asked for, and keeps hidden what was when the share grows", () => {
    let before = hiddenPatches(settings, 64);
    expect(countBits(before)).toBe(0);
    for (let share = 5; share <= 100; share += 5) {
      const now = hiddenPatches({ ...settings, share }, 64);
      expect(countBits(now)).toBe(Math.round(0.64 * share));
      expect(before.every((bit, i) => bit <= now[i]!)).toBe(true);
      before = now;
    }
  });
  it("becomes what the brush wants, whatever chance had chosen", () => {
    const next = random(4);
    for (const share of [0, 37, 100]) {
      const wanted = Uint8Array.from({ length: 64 }, () => Number(next() < 0.5));
      const brush = brushFor(wanted, { ...settings, share });
      expect(hiddenPatches({ ...settings, share, brush }, 64)).toEqual(wanted);
    }
    expect(brushFor(hiddenPatches({ ...settings, share: 37 }, 64), { ...settings, share: 37 })).toBe("");
  });
});

describe("edits of a latent", () => {
  const form = { tokens: 4, channels: 2, mean: 0.5, std: 2 };
  const latents = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8);
  const none: EditSettings = { keep: ALL, drop: "", order: "0", noise: 0, noiseSeed: "1" };
  it("none leave every bit as it is", () => {
    const odd = Float32Array.from({ length: 8 }, (_, i) => Math.sin(i) / 3);
    expect(edit(odd, form, none).latents).toEqual(odd);
  });
  it("what is left out has the mean for its numbers", () => {
    expect([...edit(latents, form, { ...none, keep: 3, drop: printBits(Uint8Array.of(0, 1, 0, 0)) }).latents]).toEqual([1, 2, 0.5, 0.5, 5, 6, 0.5, 0.5]);
    expect([...droppedPlaces({ keep: 0, drop: "" }, 4)]).toEqual([1, 1, 1, 1]);
    expect([...without(latents, 2, form)]).toEqual([1, 2, 3, 4, 0.5, 0.5, 7, 8]);
    expect(latents[4], "in a copy").toBe(5);
  });
  it("an order moves whole tokens, noise and all, and leaves out by place", () => {
    const { latents: moved, order } = edit(latents, form, { ...none, order: "3" });
    expect([...order].sort()).toEqual([0, 1, 2, 3]);
    expect([...moved]).toEqual(order.flatMap((token) => [...latents.slice(token * 2, token * 2 + 2)]));
    const noisy = edit(latents, form, { ...none, noise: 1 }).latents;
    const both = edit(latents, form, { ...none, noise: 1, order: "3" }).latents;
    expect([...both]).toEqual(order.flatMap((token) => [...noisy.slice(token * 2, token * 2 + 2)]));
    const dropped = edit(latents, form, { ...none, order: "3", drop: "1" }).latents;
    expect([...dropped.slice(0, 2)]).toEqual([0.5, 0.5]);
    expect([...dropped.slice(2)]).toEqual([...moved.slice(2)]);
  });
  it("noise is measured in the training set's deviations, the same for the same seed", () => {
    const wide = { tokens: 100, channels: 100, mean: 0, std: 2 };
    const zeros = new Float32Array(10_000);
    const { latents: noisy } = edit(zeros, wide, { ...none, noise: 0.5 });
    const deviation = Math.sqrt(noisy.reduce((sum, value) => sum + value ** 2, 0) / noisy.length);
    expect(deviation).toBeCloseTo(1, 1);
    expect(edit(zeros, wide, { ...none, noise: 0.5 }).latents).toEqual(noisy);
    expect(edit(zeros, wide, { ...none, noise: 0.5, noiseSeed: "2" }).latents).not.toEqual(noisy);
  });
});

describe("squares", () => {
  const size = { width: 100, height: 60 };
  it("the middle is the largest, and no setting", () => {
    expect(middle(size)).toEqual({ x: 20, y: 0, side: 60 });
    expect(asCrop([], size)).toEqual(middle(size));
    expect(asCrop([1, 2], size)).toEqual(middle(size));
    expect(asNumbers(middle(size), size)).toEqual([]);
    expect(asNumbers({ x: 3, y: 4, side: 20 }, size)).toEqual([3, 4, 20]);
  });
  it("whatever a link or a pointer asks for stays inside, in whole pixels", () => {
    const next = random(9);
    const number = () => (next() - 0.3) * 300;
    for (let i = 0; i < 500; i++) {
      const crop = inside({ x: number(), y: number(), side: number() }, size);
      const corner = { across: next() < 0.5 ? -1 : 1, down: next() < 0.5 ? -1 : 1 } as const;
      for (const { x, y, side } of [crop, resized(crop, number(), size), stretched(crop, corner, number(), number(), size), asCrop([number(), number(), number()], size)]) {
        expect([x, y, side].every(Number.isInteger)).toBe(true);
        expect(x >= 0 && y >= 0 && side >= 8 && x + side <= 100 && y + side <= 60).toBe(true);
      }
    }
  });
  it("a corner that is drawn leaves the opposite one where it is", () => {
    const crop = { x: 30, y: 10, side: 30 };
    expect(stretched(crop, { across: 1, down: 1 }, 70, 20, size)).toEqual({ x: 30, y: 10, side: 40 });
    expect(stretched(crop, { across: -1, down: -1 }, 0, 5, size)).toEqual({ x: 20, y: 0, side: 40 });
    expect(resized(crop, 20, size)).toEqual({ x: 35, y: 15, side: 20 });
  });
});

describe("differences of pictures", () => {
  const picture = (...colours: number[][]): Picture => ({ rgba: Uint8ClampedArray.from(colours.flatMap((colour) => [...colour, 255])), width: colours.length, height: 1 });
  it("have a sign in brightness and none in their mean", () => {
    const [black, white] = [picture([0, 0, 0]), picture([255, 255, 255])];
    expect(brighter(black, white)[0]).toBeCloseTo(255, 3);
    expect(brighter(white, black)[0]).toBeCloseTo(-255, 3);
    expect(brighter(black, picture([0, 255, 0]))[0]).toBeCloseTo(0.7152 * 255, 3);
    expect(meanDifference(picture([10, 0, 0], [0, 0, 0]), picture([4, 3, 0], [0, 0, 0]))).toBe(1.5);
  });
  it("have a scale that all but the rarest fit in", () => {
    expect(rangeOf(new Float32Array(10))).toBe(8);
    expect(rangeOf(Float32Array.from({ length: 1000 }, (_, i) => (i === 5 ? -200 : 20)))).toBe(32);
    expect(rangeOf(new Float32Array(10).fill(-255))).toBe(255);
  });
  it("are blue below, red above, and the page's own colour at 0", () => {
    for (const dark of [false, true]) {
      const [low, zero, high] = [diverging(-1, dark), diverging(0, dark), diverging(1, dark)];
      expect(low[2]).toBeGreaterThan(low[0]);
      expect(high[0]).toBeGreaterThan(high[2]);
      expect(Math.max(...zero) - Math.min(...zero)).toBeLessThan(10);
      expect(diverging(7, dark)).toEqual(high);
    }
    expect(painted.length).toBe(3);
  });
});

describe("the command line", () => {
  it("is safe in a shell, whatever the file is called", () => {
    expect(commandLine({ name: "photo.jpg" }, false)).toBe("maetok reconstruct photo.jpg --out photo-reconstruction.png");
    expect(commandLine({ name: "photo.jpg" }, true)).toBe("maetok reconstruct photo-original.png --out photo-reconstruction.png");
    expect(quoted("my cat's $(rm).png")).toBe("'my cat'\\''s $(rm).png'");
    expect(quoted("-rf")).toBe("./-rf");
  });
});
