/** Fields, the store with its history, and the state as a link. */

import { describe, expect, it } from "vitest";
import { fromHash, toHash } from "../../src/state/link.ts";
import { choice, decimal, type Field, flag, list, seed, text, whole } from "../../src/state/schema.ts";
import { PANEL_NAMES, untouched } from "../../src/state/state.ts";
import { Store } from "../../src/state/store.ts";
import { random, someState, someText } from "./random.ts";

const FIELDS: Record<string, Field<unknown>> = {
  text: text("a", /[a-z]*/) as Field<unknown>,
  seed: seed("1") as Field<unknown>,
  whole: whole(5, -10, 1000) as Field<unknown>,
  decimal: decimal(0.5, -1, 20, 3) as Field<unknown>,
  choice: choice("euler", ["euler", "heun"]) as Field<unknown>,
  flag: flag(false) as Field<unknown>,
  list: list(whole(0, 0, 255), 4) as Field<unknown>,
};

describe("a field", () => {
  it.each(Object.entries(FIELDS))("%s takes what it prints and survives what it is given", (_, field) => {
    const next = random(1);
    for (let i = 0; i < 2000; i++) {
      const value = field.parse(someText(next));
      if (value !== undefined) expect(field.parse(field.print(value))).toEqual(value);
    }
    expect(field.parse(field.print(field.fallback))).toEqual(field.fallback);
  });

  it.each<[string, string, unknown]>([
    ["text", "abc", "abc"],
    ["text", "abc\n", undefined],
    ["text", "a1", undefined],
    ["seed", "18446744073709551615", "18446744073709551615"],
    ["seed", "18446744073709551616", undefined],
    ["seed", "-1", undefined],
    ["whole", "-10", -10],
    ["whole", "1001", undefined],
    ["whole", "1e2", undefined],
    ["whole", "0x10", undefined],
    ["whole", "5.0", undefined],
    ["whole", "", undefined],
    ["decimal", "0.125", 0.125],
    ["decimal", "0.1255", undefined],
    ["decimal", ".5", undefined],
    ["decimal", "NaN", undefined],
    ["decimal", "-0", 0],
    ["choice", "Euler", undefined],
    ["flag", "yes", true],
    ["flag", "true", undefined],
    ["list", "", []],
    ["list", "1,2,3,4", [1, 2, 3, 4]],
    ["list", "1,2,3,4,5", undefined],
    ["list", "1,,2", undefined],
    ["list", "1,256", undefined],
  ])("%s reads “%s”", (name, given, value) => expect(FIELDS[name]!.parse(given)).toEqual(value));

  it("rounds to its digits, and a default it does not take is our mistake", () => {
    expect(decimal(0, 0, 1, 2).print(1 / 3)).toBe("0.33");
    expect(decimal(0, -1, 1, 2).print(-0.001)).toBe("0");
    expect(() => whole(5, 10, 20)).toThrow(RangeError);
  });
});

describe("the state as a link", () => {
  it("comes back as it was, whatever it is", () => {
    const next = random(2);
    for (let i = 0; i < 500; i++) {
      const state = someState(next);
      expect(fromHash(toHash(state), PANEL_NAMES)).toEqual({ state, bad: [] });
    }
  });

  it("says only what is not as usual", () => {
    expect(toHash(untouched())).toBe("#panel=generate");
    const store = new Store();
    store.set({ generate: { steps: 50, class: "pixel-art", guidance: 2 } });
    expect(toHash(store.get())).toBe("#panel=generate&generate.class=pixel-art&generate.steps=50");
    expect(fromHash("", PANEL_NAMES)).toEqual({ state: untouched(), bad: [] });
  });

  it("is survived, whoever wrote it", () => {
    const next = random(3);
    const names = ["panel", "generate.steps", "generate.class", "generate.seed", "generate.__proto__", "constructor", "generate", "x"];
    for (let i = 0; i < 500; i++) {
      const hash = Array.from({ length: 4 }, () => `${names[Math.floor(next() * names.length)]}${next() < 0.9 ? "=" : "&"}${someText(next)}`).join("&");
      const { state } = fromHash(`#${hash}`, PANEL_NAMES);
      // What came of it is a state like any other.
      expect(fromHash(toHash(state), PANEL_NAMES)).toEqual({ state, bad: [] });
    }
  });

  it("falls back to the usual settings and names what was wrong, never with its value", () => {
    const hash = `#generate.steps=1e99&generate.class=<img src=x onerror=alert(1)>&panel=../..&x=${"9".repeat(100_000)}&generate.seed=5`;
    const { state, bad } = fromHash(hash, PANEL_NAMES);
    expect(state).toEqual({ ...untouched(), generate: { ...untouched().generate, seed: "5" } });
    expect(bad).toEqual(["x", "panel", "generate.class", "generate.steps"]);
    expect(fromHash("#generate.steps=5&generate.steps=6", PANEL_NAMES).bad).toEqual(["generate.steps"]);
    expect(fromHash(`#${"n".repeat(5000)}=1`, PANEL_NAMES).bad).toEqual([`${"n".repeat(30)}…`]);
    // A panel that is not there yet is no panel.
    expect(fromHash("#panel=map", ["generate", "reconstruct"])).toEqual({ state: untouched(), bad: ["panel"] });
  });
});

describe("the store", () => {
  const made = () => {
    let now = 0;
    const store = new Store(untouched(), () => now);
    return { store, wait: (ms: number) => (now += ms) };
  };

  it("tells of changes, and only of changes", () => {
    const { store } = made();
    const heard: [number, number][] = [];
    const ending = new AbortController();
    store.subscribe((state, before) => heard.push([before.generate.steps, state.generate.steps]), ending.signal);
    store.set({ generate: { steps: 50 } });
    store.set({ generate: { steps: 50 } });
    store.set({});
    expect(heard).toEqual([[25, 50]]);
    ending.abort();
    store.set({ generate: { steps: 51 } });
    expect(heard).toHaveLength(1);
  });

  it("never changes a state in place, and refuses what a field does not take", () => {
    const { store } = made();
    const before = store.get();
    store.set({ generate: { guidance: 3.14159 } });
    expect(before).toEqual(untouched());
    expect(store.get().generate.guidance).toBe(3.14);
    expect(() => store.set({ generate: { steps: 0 } })).toThrow("generate.steps cannot be 0");
    expect(() => store.set({ generate: { low: Number.NaN } })).toThrow(RangeError);
    expect(() => store.set({ generate: { nothing: 1 } as never })).toThrow(RangeError);
  });

  it("takes a change back and makes it again", () => {
    const { store, wait } = made();
    const steps = () => store.get().generate.steps;
    expect([store.canUndo, store.canRedo]).toEqual([false, false]);
    for (const value of [30, 40, 50]) {
      store.set({ generate: { steps: value } });
      wait(5000);
    }
    store.undo();
    store.undo();
    expect(steps()).toBe(30);
    store.redo();
    expect(steps()).toBe(40);
    store.set({ generate: { steps: 7 } });
    expect(store.canRedo).toBe(false);
    store.undo();
    expect(steps()).toBe(40);
    store.undo();
    store.undo();
    store.undo();
    expect(steps()).toBe(25);
  });

  it("takes one draw of a slider for one change", () => {
    const { store, wait } = made();
    for (let i = 1; i <= 20; i++) {
      store.set({ generate: { guidance: 2 + i / 10 } });
      wait(100);
    }
    store.set({ generate: { steps: 5 } });
    store.undo();
    expect(store.get().generate).toMatchObject({ guidance: 4, steps: 25 });
    store.undo();
    expect(store.get().generate.guidance).toBe(2);
    expect(store.canUndo).toBe(false);
  });

  it("shows the panel where the change was made, and what is shown is no change", () => {
    const { store } = made();
    store.set({ generate: { steps: 5 } });
    store.set({ panel: "reconstruct" }, { undoable: false });
    store.set({ panel: "map" });
    store.undo();
    expect([store.get().panel, store.get().generate.steps]).toEqual(["generate", 25]);
    store.set({ panel: "map" });
    store.redo();
    expect([store.get().panel, store.get().generate.steps]).toEqual(["generate", 5]);
  });

  it("goes back through any history to where it began", () => {
    const next = random(4);
    const { store, wait } = made();
    const states = [store.get()];
    for (let i = 0; i < 100; i++) {
      const state = { ...someState(next), panel: "generate" as const };
      if (toHash(state) === toHash(store.get())) continue;
      if (next() < 0.5) store.load(state);
      else store.set({ generate: state.generate });
      states.push(store.get());
      wait(2000);
    }
    const back = [store.get()];
    while (store.canUndo) (store.undo(), back.push(store.get()));
    expect(back.map(toHash).reverse()).toEqual(states.map(toHash));
    while (store.canRedo) store.redo();
    expect(toHash(store.get())).toBe(toHash(states.at(-1)!));
  });
});
