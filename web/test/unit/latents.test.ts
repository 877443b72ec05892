/** Arithmetic on latents, recorded runs and their distances, and the small pieces the mixing is made of. */

import { describe, expect, it } from "vitest";
import { beforeStep, distance, exchange, joined, shares, standard, tokenDistances, unstandard } from "../../src/latents.ts";
import { patchOf, PRESETS, settingsOf, used } from "../../src/panels/compare/presets.ts";
import { parseList } from "../../src/panels/compare/tokenizers.ts";
import { aligned, at, distanceAt, fromEnd, fromOther, interpolated, pointsOf, questions, type Trajectory } from "../../src/panels/compare/trajectory.ts";
import type { ModelSummary, Picture, SampleRequest } from "../../src/protocol.ts";
import { untouched } from "../../src/state/state.ts";
import { Store } from "../../src/state/store.ts";
import { Latest } from "../../src/ui/latest.ts";
import { pixelDifference, sheet } from "../../src/ui/sheet.ts";

const floats = (...values: number[]) => Float32Array.from(values);

describe("latents", () => {
  const a = floats(1, 2, 3, 4, 5, 6);
  const b = floats(-1, -2, -3, -4, -5, -6);

  it("exchange the tokens that are chosen, and leave the others and themselves alone", () => {
    expect([...exchange(a, b, [1], 2)]).toEqual([1, 2, -3, -4, 5, 6]);
    expect([...exchange(a, b, [], 2)]).toEqual([...a]);
    expect([...exchange(a, b, [0, 1, 2], 2)]).toEqual([...b]);
    expect(a[2]).toBe(3);
  });

  it("are as far apart as their differences' root mean square, in a unit", () => {
    expect(distance(floats(0, 0), floats(3, 4))).toBeCloseTo(Math.sqrt(12.5));
    expect(distance(floats(0, 0), floats(3, 4), 5)).toBeCloseTo(Math.sqrt(12.5) / 5);
    expect(distance(floats(), floats())).toBe(0);
    expect(tokenDistances(a, b, 2, 1).map((value) => value.toFixed(3))).toEqual([4, 8, 12].map((_, i) => Math.sqrt(((4 * i + 2) ** 2 + (4 * i + 4) ** 2) / 2).toFixed(3)));
  });

  it("go into the generator's units and back", () => {
    const model = { latentMean: -0.5, latentStd: 2 } as ModelSummary;
    expect([...standard(floats(-0.5, 1.5), model)]).toEqual([0, 1]);
    expect([...unstandard(standard(a, model), model)]).toEqual([...a]);
    expect([...joined([floats(1), floats(2, 3)])]).toEqual([1, 2, 3]);
    expect(shares(5)).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  it.each(["linear", "cosine"] as const)("before a step are found from what came after it, on the %s path", (kind) => {
    // The step as the sampler takes it, written down anew: v = α′x̂0 + σ′ε, x after = x + (next − t)v.
    const angle = (t: number) => (Math.PI / 2) * t;
    const at = (t: number) => (kind === "linear" ? [1 - t, t, -1, 1] : [Math.cos(angle(t)), Math.sin(angle(t)), (-Math.PI / 2) * Math.sin(angle(t)), (Math.PI / 2) * Math.cos(angle(t))]) as [number, number, number, number];
    for (const [t, next] of [[1, 0.9], [0.6, 0.5], [0.1, 0.05]] as const) {
      const [alpha, sigma, alphaRate, sigmaRate] = at(t);
      const clean = [0.3, -1.2, 2];
      const noise = [1, 0.5, -0.7];
      const before = clean.map((x, i) => alpha * x + sigma * noise[i]!);
      const after = before.map((x, i) => x + (next - t) * (alphaRate * clean[i]! + sigmaRate * noise[i]!));
      beforeStep(kind, t, next, floats(...clean), floats(...after)).forEach((value, i) => expect(value).toBeCloseTo(before[i]!, 4));
    }
  });
});

describe("recorded runs", () => {
  const step = (t: number, clean: number, state: number) => ({ t, clean: floats(clean), state: floats(state) });
  const run = (...steps: ReturnType<typeof step>[]): Trajectory => ({ ...pointsOf(steps), request: {} as SampleRequest, picture: {} as Picture, ms: 1 });
  const one = run(step(1, 5, 0.5), step(0.5, 3, 2));
  const other = run(step(1, 6, 1), step(0.75, 4, 2), step(0.5, 4, 3), step(0.25, 4, 4));

  it("have a state after each step and a guess before it, and both end at time 0", () => {
    expect(one.state.map(({ t, latents }) => [t, latents[0]])).toEqual([[0.5, 0.5], [0, 2]]);
    expect(one.clean.map(({ t, latents }) => [t, latents[0]])).toEqual([[1, 5], [0.5, 3], [0, 2]]);
  });

  it("are looked at by time: what there was last", () => {
    expect([1, 0.8, 0.5, 0.3, 0.01, 0].map((t) => at(one.clean, t)!.t)).toEqual([1, 1, 0.5, 0.5, 0.5, 0]);
    expect([1, 0.5, 0.2, 0].map((t) => at(one.state, t)!.t)).toEqual([0.5, 0.5, 0.5, 0]);
    expect(at([], 1)).toBeUndefined();
  });

  it("are measured against each other at the same time, whatever steps they took", () => {
    expect(interpolated(one.state, 0.25)![0]).toBe(1.25);
    expect(interpolated(one.state, 0.75)).toBeNull();
    expect(fromOther(one, one, "state", 2).map(({ distance }) => distance)).toEqual([0, 0, 0]);
    // One is at 0.5 at t = 0.5, where the other is at 2; at the end they are at 2 and 4.
    expect(fromOther(one, other, "state", 2)).toEqual([{ t: 1, distance: 0 }, { t: 0.5, distance: 0.75 }, { t: 0, distance: 1 }]);
    expect(fromOther(one, other, "clean", 1).map(({ distance }) => distance)).toEqual([1, 1, 2]);
    expect(fromEnd(one, "clean", 1).map(({ distance }) => distance)).toEqual([3, 1, 0]);
  });

  it("become columns over all their times, and a value at any of them", () => {
    const { times, columns } = aligned([[{ t: 1, distance: 0 }, { t: 0, distance: 2 }], [{ t: 0.5, distance: 7 }]]);
    expect([times, columns]).toEqual([[0, 0.5, 1], [[2, null, 0], [null, 7, null]]]);
    const list = [{ t: 1, distance: 0 }, { t: 0, distance: 2 }];
    expect([1, 0.75, 0].map((t) => distanceAt(list, t))).toEqual([0, 0.5, 2]);
    expect(distanceAt([{ t: 0.5, distance: 7 }], 0.75)).toBeNull();
  });

  it("asked the network so often", () => {
    const times = [1, 0.75, 0.5, 0.25];
    const request = (sampler: SampleRequest["sampler"], guidance: number, interval: [number, number] = [0, 1]) => ({ sampler, guidance, interval }) as SampleRequest;
    expect([request("euler", 1), request("euler", 2), request("heun", 1), request("heun", 2), request("euler", 2, [0.5, 1]), request("sde", 2, [0.6, 0.7])].map((one) => questions(one, times))).toEqual([4, 8, 7, 14, 7, 4]);
  });
});

describe("presets", () => {
  it.each(Object.keys(PRESETS) as (keyof typeof PRESETS)[])("%s sets values that the fields allow, in one change", (name) => {
    const store = new Store();
    store.set({ compare: { class3: "kept", guidance3: 9 } });
    store.set({ compare: patchOf(name) });
    const { compare } = store.get();
    expect(used(compare).length).toBe(PRESETS[name].length);
    PRESETS[name].forEach((wanted, i) => expect(settingsOf(compare, used(compare)[i]!)).toMatchObject(wanted));
    store.undo();
    expect(store.get().compare.guidance3).toBe(9);
  });

  it("begin with those of the samplers", () => {
    const { compare } = untouched();
    expect(patchOf("steps").to).toBe("last");
    expect({ ...compare, ...patchOf("samplers") }).toEqual(compare);
  });
});

describe("a list of models", () => {
  const base = "https://here.example/models/index.json";
  it("gives addresses from where it lies, of the same origin alone", () => {
    const list = [{ name: "a", title: "A", manifest: "a/manifest.json" }, { name: "b", title: "B", manifest: "https://there.example/manifest.json" }];
    expect(parseList(list, base)).toEqual([{ name: "a", title: "A", manifest: "https://here.example/models/a/manifest.json" }]);
  });
  it.each([null, {}, "x", [null], [{ name: 1, title: "A", manifest: "a" }], [{ name: "a", title: "A" }], [{ name: "a", title: "A", manifest: "http://[" }]])("is refused where it is none: %j", (json) => expect(parseList(json, base)).toBeNull());
});

describe("pictures", () => {
  const grey = (value: number): Picture => ({ rgba: new Uint8ClampedArray(32 * 32 * 4).map((_, i) => (i % 4 === 3 ? 255 : value)), width: 32, height: 32 });

  it("lie side by side with a white gap", () => {
    const made = sheet([grey(10), grey(20), grey(30)]);
    expect([made.width, made.height]).toEqual([3 * 32 + 2, 32]);
    expect([0, 31, 32, 33, 66].map((x) => made.rgba[x * 4])).toEqual([10, 10, 255, 20, 30]);
    const two = sheet([grey(10), grey(20), grey(30)], 2);
    expect([two.width, two.height, two.rgba[33 * 65 * 4], two.rgba[(33 * 65 + 40) * 4]]).toEqual([65, 65, 30, 255]);
  });

  it("differ by so much", () => {
    const other = grey(10);
    other.rgba[0] = 13;
    expect(pixelDifference(grey(10), other)).toEqual({ mean: 3 / (32 * 32 * 3), most: 3 });
    expect(pixelDifference(grey(7), grey(7))).toEqual({ mean: 0, most: 0 });
  });
});

describe("the newest request", () => {
  it("is the one that is answered, after the one under way", async () => {
    const done: number[] = [];
    const waiting: (() => void)[] = [];
    const latest = new Latest<number>((wish) => new Promise((resolve) => waiting.push(() => (done.push(wish), resolve()))));
    const all = latest.ask(1);
    void latest.ask(2);
    void latest.ask(3);
    waiting.shift()!();
    await new Promise((resolve) => setTimeout(resolve));
    waiting.shift()!();
    await all;
    expect([done, waiting.length]).toEqual([[1, 3], 0]);
    const again = latest.ask(4);
    waiting.shift()!();
    await again;
    expect(done).toEqual([1, 3, 4]);
  });

  it("can be forgotten, and a failure does not end the next", async () => {
    let fail: (error: Error) => void = () => {};
    const latest = new Latest<number>(() => new Promise((_, reject) => (fail = reject)));
    const all = latest.ask(1);
    void latest.ask(2);
    latest.drop();
    fail(new Error("no"));
    await expect(all).rejects.toThrow("no");
    const next = latest.ask(3);
    fail(new Error("again"));
    await expect(next).rejects.toThrow("again");
  });
});
