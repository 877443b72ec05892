/** Random states for property tests: seeded, so that a failure can be met again. */

import { type Field, type Fields, type Values } from "../../src/state/schema.ts";
import { PANEL_NAMES, PARTS, type Settings, type State } from "../../src/state/state.ts";

/** Mulberry32: small, and good enough to choose test cases. Numbers from 0 up to 1. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Texts that fields may or may not take: numbers of many kinds, words, what hostile links are made of. */
const PIECES = ["", "0", "1", "-1", "7", "25", "1000", "1001", "0.5", "0.125", "1.5", "-0", "1e99", "NaN", "Infinity", "0x10", "18446744073709551615", "18446744073709551616", "yes", "no", "euler", "heun", "sde", "clean", "state", "both", "lorelei", "pixel-art", "tench, Tinca tinca", "Große Ohren", "<img src=x onerror=alert(1)>", "__proto__", "a&b=c#d", "1,2,3", ",", "%", "+", " ", "\u0000", "💥", "9".repeat(3000)];

export function someText(next: () => number): string {
  const piece = () => PIECES[Math.floor(next() * PIECES.length)]!;
  return next() < 0.7 ? piece() : piece() + piece();
}

/** A value of the field: the first of a few texts that it takes, or else its default. */
function valueOf<T>(field: Field<T>, next: () => number): T {
  for (let tries = 0; tries < 30; tries++) {
    const text = next() < 0.5 ? someText(next) : (next() * 10 ** Math.floor(next() * 4)).toFixed(Math.floor(next() * 4));
    const value = field.parse(text);
    if (value !== undefined) return value;
  }
  return field.fallback;
}

export function someValues<F extends Fields>(fields: F, next: () => number): Values<F> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, next() < 0.5 ? field.fallback : valueOf(field, next)])) as Values<F>;
}

export function someState(next: () => number): State {
  const settings = Object.fromEntries(PANEL_NAMES.map((name) => [name, someValues(PARTS[name], next)])) as unknown as Settings;
  return { panel: PANEL_NAMES[Math.floor(next() * PANEL_NAMES.length)]!, ...settings };
}
