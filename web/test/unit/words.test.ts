import { describe, expect, it } from "vitest";
import { asMaetokError, MaetokError, sentence } from "../../src/errors.ts";
import { bytes, duration, timeLeft } from "../../src/format.ts";
import type { Picture } from "../../src/protocol.ts";
import { upscale, weights } from "../../src/upscale.ts";

describe("numbers carry units", () => {
  it.each([[999, "1 kB"], [5_171_378, "5.2 MB"], [28_300_000, "28 MB"]])("%d bytes", (count, words) => expect(bytes(count)).toBe(words));
  it.each([[64, "60 ms"], [1940, "1.9 s"], [12_400, "12 s"], [59_700, "1 min 0 s"], [200_000, "3 min 20 s"]])("%d ms", (ms, words) => expect(duration(ms)).toBe(words));
  it("tells time left only when it can know it", () => {
    expect(timeLeft(0, 10, 5000)).toBe("");
    expect(timeLeft(10, 10, 5000)).toBe("");
    expect(timeLeft(5, 10, 5000)).toBe("about 5.0 s left");
  });
});

describe("errors are sentences", () => {
  it("whatever was thrown", () => {
    expect(sentence("no picture")).toBe("No picture.");
    expect(asMaetokError("boom").message).toBe("Boom.");
    expect(asMaetokError(Object.assign(new Error("bad"), { code: "weights" }))).toMatchObject({ code: "weights", advice: expect.stringContaining("Reload") });
    expect(asMaetokError(new DOMException("x", "AbortError")).code).toBe("cancelled");
    const own = new MaetokError("a", "B.");
    expect(asMaetokError(own)).toBe(own);
  });
});

describe("the advice on a picture fits what is wrong with it", () => {
  // The engine's own sentences: crate/maetok/src/image/decode.rs.
  it.each([
    ["The file is empty.", /^Save or download it again/],
    ["The JPEG picture is cut short.", /^Save or download it again/],
    ["The PNG picture is damaged.", /^Save or download it again/],
    ["The picture is 1×1 pixels; both sides must have at least 8.", /^Choose a larger one\.$/],
    ["The picture is 20000×8 pixels; neither side may have more than 16384.", /^Make it smaller/],
    ["The picture is 16384×16384 pixels; it may have at most 100 million in all.", /^Make it smaller/],
    ["The PNG picture would need too much memory.", /^Make it smaller/],
    ["This is a picture of the kind HEIC, but only PNG, JPEG, WebP and GIF can be read.", /^Save it as one of these/],
    ["The JPEG picture uses a variant of the format that cannot be read.", /^Save it with another program/],
    ["This file is not a picture that can be read (PNG, JPEG, WebP and GIF can be read).", /^Choose another file\.$/],
  ])("%s", (message, advice) => {
    expect(asMaetokError(Object.assign(new Error(message), { code: "picture" }))).toMatchObject({ message, advice: expect.stringMatching(advice) });
  });
});

describe("a picture enlarged", () => {
  const picture = (width: number, height: number, value: (i: number) => number): Picture => ({ rgba: Uint8ClampedArray.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : value(i >> 2))), width, height });

  it("keeps a plain colour plain, to the border", () => {
    const { rgba, width, height } = upscale(picture(5, 3, () => 77), 4);
    expect([width, height]).toEqual([20, 12]);
    expect(new Set(rgba)).toEqual(new Set([77, 255]));
  });

  it("keeps every pixel's own value at its centre", () => {
    const small = picture(4, 4, (i) => (i * 37) % 256);
    const large = upscale(small, 3);
    for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) expect(large.rgba[((3 * y + 1) * 12 + 3 * x + 1) * 4]).toBe(small.rgba[(y * 4 + x) * 4]);
  });

  it("mixes with weights that add up to one", () => {
    for (const f of [0, 0.25, 0.5, 0.9]) expect(weights(f).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
  });
});
