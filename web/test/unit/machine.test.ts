/** The pure parts of the machine's panel: rows of the benchmark, the list of what is kept. */

import { describe, expect, it } from "vitest";
import { inventory } from "../../src/offline/inventory.ts";
import { asFigures, median, rows } from "../../src/panels/machine/figures.ts";

const figure = (name: string, seconds: number[], flop = 0, bytes = 0) => ({ name, seconds, flop, bytes, dispatches: 0 });

describe("figures of the benchmark", () => {
  it("the median is the engine's: the middle, of an even number the later", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([1, 2])).toBe(2);
    expect(median([])).toBeNaN();
  });

  it("are put beside the same work by plain operations, whatever either calls itself", () => {
    const ours = [figure("encode", [0.02, 0.01, 0.03]), figure("linear 8 x 4 x 2, loops on the CPU", [0.001], 2e6)];
    const plain = [figure("encode", [0.1]), figure("linear 8 x 4 x 2, plain ops", [0.004], 2e6)];
    const found = rows([{ route: "by-adapter", figures: ours }, { route: "plain", figures: plain }]);
    expect(found.map(({ name, median, plain }) => [name, Math.round(median), Math.round(plain!)])).toEqual([["encode", 20, 100], ["linear 8 x 4 x 2", 1, 4]]);
    expect(found[0]).toMatchObject({ fastest: 10, slowest: 30, rate: null });
    expect(found[1]!.rate![0]).toBeCloseTo(2);
    expect(found[1]!.rate![1]).toBe("GFLOP/s");
  });

  it("without a comparison have none, and bytes have a rate of their own", () => {
    const [row] = rows([{ route: "by-adapter", figures: [figure("copy", [0.01], 0, 64e6)] }]);
    expect([row!.plain, row!.rate]).toEqual([null, [6.4, "GB/s"]]);
  });

  it.each([[[{ name: 1, seconds: [1] }]], [[{ name: "a", seconds: [] }]], [[{ name: "a", seconds: [NaN] }]], [[{ name: "a" }]]])("that are none are refused: %j", (raw) => {
    expect(() => asFigures(raw)).toThrow();
  });
});

/** As much of a browser's caches as is asked of them. */
function fakeCaches(contents: Record<string, Record<string, number>>) {
  const stores = new Map(Object.entries(contents).map(([name, files]) => [name, new Map(Object.entries(files))]));
  const open = (name: string) => {
    const files = stores.get(name)!;
    return Promise.resolve({
      keys: async () => [...files.keys()].map((path) => new Request(`http://host${path}`)),
      match: async (key: Request) => new Response(new Uint8Array(files.get(new URL(key.url).pathname) ?? 0)),
      delete: async (key: Request) => files.delete(new URL(key.url).pathname),
    } as unknown as Cache);
  };
  return { keys: async () => [...stores.keys()], open, delete: async (name: string) => stores.delete(name) };
}

describe("what is kept", () => {
  const hash = "a".repeat(64);
  const contents = () => ({
    "maetok-app-1-00112233": { "/index.html": 10, "/assets/engine.wasm": 90 },
    "maetok-app-1-44556677": {},
    "somebody-else": { "/x": 5 },
    "maetok-self-test-1": { [`/.maetok-cache/self-test/${encodeURIComponent("google, , swiftshader, , Mozilla/5.0 (X, Y)")}`]: 7 },
    "maetok-models-1": { "/manifest.json": 3, "/t.webp": 4 },
    "maetok-weights-1": { [`/.maetok-cache/${hash}`]: 50, "/.maetok-cache/bbbb": 60 },
  });

  it("has names and sizes, the weights first; what is another page's and what is empty is left alone", async () => {
    const items = await inventory(fakeCaches(contents()), [{ path: "sit/model.safetensors", size: 50, sha256: hash }]);
    expect(items.map(({ kind, name, bytes, engine }) => [kind, name, bytes, engine])).toEqual([
      ["weights", "", 60, false],
      ["weights", "sit/model.safetensors", 50, false],
      ["app", "00112233", 100, true],
      ["model", "", 7, false],
      ["self-test", "google, swiftshader", 7, false],
    ]);
  });

  it("goes one by one, or with the whole cache", async () => {
    const caches = fakeCaches(contents());
    const [first, , app] = await inventory(caches, []);
    await first!.remove();
    await app!.remove();
    expect((await inventory(caches, [])).map(({ kind }) => kind)).toEqual(["weights", "model", "self-test"]);
  });
});
