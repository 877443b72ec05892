/** The map without a canvas: files, components, distances, places, looks. */

import { describe, expect, it } from "vitest";
import type { Client } from "../../src/client.ts";
import { readIndex, readLatents } from "../../src/panels/map/data.ts";
import { bounds, columns, gridStep, nearestPoint, nextPoint, type Points, Transform, withinReach, zoomAt } from "../../src/panels/map/geometry.ts";
import { classFigures, distance, nearestRows } from "../../src/panels/map/latents.ts";
import { looks } from "../../src/panels/map/palette.ts";
import { Projection } from "../../src/panels/map/projection.ts";
import { stopsFor } from "../../src/tour/stops.ts";
import { random } from "./random.ts";

const all = () => true;
const good = { format: 1, count: 4, width: 2, scale: 0.5, latents: "latents.bin", classes: [0, 1, 1, 0], held_out: [0, 0, 1, 0], sprite: { file: "p.jpg", side: 32, columns: 2 } };

describe("the file", () => {
  it("is read", () => {
    expect(readIndex(JSON.stringify(good), 2)).toEqual({ count: 4, width: 2, scale: 0.5, latents: "latents.bin", classes: [0, 1, 1, 0], heldOut: [0, 0, 1, 0], sprite: { file: "p.jpg", side: 32, columns: 2 } });
    expect([...readLatents(Uint8Array.of(0, 1, 127, 128, 255, 2, 3, 4), good)]).toEqual([0, 0.5, 63.5, -64, -0.5, 1, 1.5, 2]);
    // Part of a larger buffer, as a download may be.
    expect(readLatents(new Uint8Array(12).subarray(4), good)).toHaveLength(8);
  });

  it.each<[string, unknown]>([
    ["format", { ...good, format: "1" }],
    ["count", { ...good, count: 2 ** 40 }],
    ["count", { ...good, count: 1.5 }],
    ["width", { ...good, width: 0 }],
    ["scale", { ...good, scale: 0 }],
    ["scale", { ...good, scale: "x" }],
    ["latents", { ...good, latents: 5 }],
    ["classes", { ...good, classes: [0, 1, 2, 0] }],
    ["classes", { ...good, classes: [0, 1, -1, 0] }],
    ["classes", { ...good, classes: [0, 1, 0.5, 0] }],
    ["classes", { ...good, classes: [0, 1] }],
    ["held_out", { ...good, held_out: [0, 0, 2, 0] }],
    ["sprite", { ...good, sprite: null }],
    ["sprite.side", { ...good, sprite: { ...good.sprite, side: 1e9 } }],
    ["sprite.columns", { ...good, sprite: { ...good.sprite, columns: 0 } }],
    ["map.json", []],
  ])("is refused in a sentence: %s", (part, json) => {
    expect(() => readIndex(JSON.stringify(json), 2)).toThrow(`The map cannot be used: “${part}” in it is not as it should be.`);
  });

  it("is refused where it is no JSON, or the latents are of another length", () => {
    expect(() => readIndex("{", 2)).toThrow(/“map\.json”/);
    expect(() => readLatents(new Uint8Array(7), good)).toThrow(/“latents\.bin”/);
  });
});

describe("components", () => {
  /** A worker that projects onto two known directions, from a known middle. */
  const worker = () => {
    const [mean, u, v] = [[1, 2, 3], [0.6, 0.8, 0], [0, 0, 1]];
    const project = (rows: Float32Array) =>
      Float32Array.from({ length: (rows.length / 3) * 2 }, (_, i) => [0, 1, 2].reduce((sum, k) => sum + (rows[Math.floor(i / 2) * 3 + k]! - mean[k]!) * (i % 2 === 0 ? u : v)[k]!, 0));
    const asked: string[] = [];
    const client = {
      fit: async (rows: Float32Array, width: number, count: number) => (asked.push(`fit ${width} ${count}`), { codes: project(rows), count: 2, shares: [0.7, 0.2] }),
      project: async (rows: Float32Array) => (asked.push("project"), { codes: project(rows), count: 2 }),
    };
    return { client: client as unknown as Client, project, asked };
  };

  it("project here as they do in the worker", async () => {
    const { client, project, asked } = worker();
    const next = random(5);
    const rows = Float32Array.from({ length: 30 }, () => next() * 4);
    const made = await Projection.fit(client, rows, 3, 8);
    expect(asked).toEqual(["fit 3 3", "project"]);
    expect([made.axes, made.shares]).toEqual([2, [0.7, 0.2]]);
    for (let r = 0; r < 10; r++) {
      const [x, y] = made.project(rows.subarray(r * 3, r * 3 + 3));
      expect(x!).toBeCloseTo(made.codes[r * 2]!, 4);
      expect(y!).toBeCloseTo(made.codes[r * 2 + 1]!, 4);
    }
    expect([...made.project([9, -1, 4])].map((value) => Math.round(value * 1000))).toEqual([...project(Float32Array.of(9, -1, 4))].map((value) => Math.round(value * 1000)));
  });
});

describe("distances", () => {
  const values = Float32Array.of(0, 0, 3, 4, 1, 0, 0, 2, 10, 10);

  it("finds the nearest rows, nearest first, without the one asked about", () => {
    expect(nearestRows(values, 2, [0, 0], 3)).toEqual([
      { index: 0, distance: 0 },
      { index: 2, distance: Math.sqrt(1 / 2) },
      { index: 3, distance: Math.sqrt(4 / 2) },
    ]);
    expect(nearestRows(values, 2, [0, 0], 2, 0).map(({ index }) => index)).toEqual([2, 3]);
    expect(nearestRows(values, 2, [0, 0], 100)).toHaveLength(5);
  });

  it("agrees with sorting them all", () => {
    const next = random(9);
    const width = 16;
    const rows = Float32Array.from({ length: 200 * width }, () => next());
    const from = Float32Array.from({ length: width }, () => next());
    const sorted = Array.from({ length: 200 }, (_, index) => ({ index, distance: distance(from, rows.subarray(index * width, (index + 1) * width)) })).sort((a, b) => a.distance - b.distance);
    const found = nearestRows(rows, width, from, 12);
    expect(found.map(({ index }) => index)).toEqual(sorted.slice(0, 12).map(({ index }) => index));
    found.forEach((one, i) => expect(one.distance).toBeCloseTo(sorted[i]!.distance, 6));
  });

  it("says where a class lies and how far it spreads", () => {
    const [first, second] = classFigures(Float32Array.of(0, 0, 2, 0, 5, 5, 0, 0), 2, [3, 3, 1, 3], [0, 1, 1, 0]);
    expect(first).toEqual({ index: 1, count: 1, heldOut: 1, centre: Float64Array.of(5, 5), spread: 0 });
    expect(second).toMatchObject({ index: 3, count: 3, heldOut: 1, centre: Float64Array.of(2 / 3, 0) });
    expect(second!.spread).toBeCloseTo(Math.sqrt(((4 / 9) * 2 + 16 / 9) / 3 / 2), 12);
  });
});

describe("places", () => {
  const points: Points = { x: Float32Array.of(0, 10, 0, -10, 3), y: Float32Array.of(0, 0, 6, 0, 1) };
  const box = bounds(points);
  const size = { width: 400, height: 300 };
  const whole = { zoom: 1, x: 0, y: 0 };

  it("are columns of the codes", () => {
    const { x, y } = columns(Float32Array.of(1, 2, 3, 4, 5, 6), 3, 2, 0);
    expect([[...x], [...y]]).toEqual([[3, 6], [1, 4]]);
  });

  it("all fit, with equal units, and come back from the screen", () => {
    expect(box).toEqual({ left: -10, right: 10, bottom: 0, top: 6 });
    const transform = new Transform(box, size, whole);
    for (let i = 0; i < points.x.length; i++) {
      const [x, y] = transform.toScreen(points.x[i]!, points.y[i]!);
      expect([x > 0, x < 400, y > 0, y < 300]).toEqual([true, true, true, true]);
      const [back, up] = transform.toMap(x, y);
      expect(back).toBeCloseTo(points.x[i]!, 9);
      expect(up).toBeCloseTo(points.y[i]!, 9);
    }
    expect(transform.toScreen(1, 0)[0] - transform.toScreen(0, 0)[0]).toBeCloseTo(transform.toScreen(0, 0)[1] - transform.toScreen(0, 1)[1], 9);
    // A map of one place does not divide by nothing.
    expect(new Transform(bounds({ x: Float32Array.of(2), y: Float32Array.of(2) }), size, whole).toScreen(2, 2)).toEqual([200, 150]);
  });

  it("zooming keeps what is under the pointer there, and never loses the map", () => {
    const before = new Transform(box, size, whole).toMap(300, 100);
    const closer = zoomAt(whole, box, size, [300, 100], 4, 50);
    const after = new Transform(box, size, closer).toMap(300, 100);
    expect(closer.zoom).toBe(4);
    expect(after[0]).toBeCloseTo(before[0], 9);
    expect(after[1]).toBeCloseTo(before[1], 9);
    expect(zoomAt(closer, box, size, [0, 0], 1e-9, 50)).toEqual(whole);
    expect(zoomAt(whole, box, size, [0, 0], 1e9, 50).zoom).toBe(50);
    expect(withinReach({ zoom: 2, x: 1e6, y: -1e6 }, box, 50)).toEqual({ zoom: 2, x: 10, y: -3 });
  });

  it("the nearest point is found, if it is near and shown", () => {
    expect(nearestPoint(points, [2.5, 0.5], 5, all)).toBe(4);
    expect(nearestPoint(points, [2.5, 0.5], 0.5, all)).toBe(-1);
    expect(nearestPoint(points, [2.5, 0.5], 5, (i) => i !== 4)).toBe(0);
  });

  it("the next point is the nearest in that quarter, and from one every other can be reached", () => {
    expect([nextPoint(points, 0, "right", all), nextPoint(points, 0, "left", all), nextPoint(points, 0, "up", all), nextPoint(points, 0, "down", all)]).toEqual([4, 3, 2, -1]);
    const next = random(3);
    const many: Points = { x: Float32Array.from({ length: 300 }, () => next()), y: Float32Array.from({ length: 300 }, () => next()) };
    const reached = new Set([0]);
    const queue = [0];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      for (const direction of ["left", "right", "up", "down"] as const) {
        const to = nextPoint(many, at, direction, all);
        if (to < 0 || reached.has(to)) continue;
        reached.add(to);
        queue.push(to);
      }
    }
    expect(reached.size).toBe(300);
  });

  it("the grid has round numbers that are not too close", () => {
    for (const scale of [0.01, 1, 7, 33, 1200]) {
      const step = gridStep(scale, 64);
      expect(step * scale).toBeGreaterThanOrEqual(64);
      expect(step * scale).toBeLessThanOrEqual(64 * 2.5 + 1);
      expect([1, 2, 5]).toContain(Math.round((step / 10 ** Math.floor(Math.log10(step) + 1e-9)) * 100) / 100);
    }
  });
});

describe("looks", () => {
  it("no two classes look the same, in light or in dark", () => {
    const classes = Array.from({ length: 28 }, (_, i) => ({ group: i % 2 ? "Avatars" : "Emoji" }));
    const made = looks(classes);
    for (const mode of ["light", "dark"] as const) expect(new Set(made.map((look) => look.shape + look[mode])).size).toBe(28);
    expect(new Set(made.map(({ shape }) => shape))).toEqual(new Set(["circle", "square"]));
    for (const count of [1, 2, 3, 5, 12, 40]) expect(new Set(looks(Array.from({ length: count }, () => ({ group: "" }))).map(({ light }) => light)).size).toBe(count);
  });
});

describe("the tour", () => {
  it("has five stops, fewer where the model can do less, and the map in place of the mixing", () => {
    const names = (...panels: Parameters<typeof stopsFor>[0]) => stopsFor(panels).map(({ name }) => name);
    expect(names("generate", "reconstruct", "mix", "compare", "map")).toEqual(["noise", "steps", "survives", "mask", "mix"]);
    expect(names("generate", "reconstruct", "map")).toEqual(["noise", "steps", "survives", "mask", "map"]);
    expect(names("reconstruct")).toEqual(["survives", "mask"]);
  });
});
