import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

const PKG = new URL("../../pkg/", import.meta.url);

/**
 * A linker that takes the module for a command puts a call of all its constructors, thousands of CubeCL's, before every
 * function that JavaScript calls: half a millisecond each, several times for each dispatch.
 */
it("answers a call without running the constructors of its libraries", async () => {
  const { initSync, lastPanic } = await import(/* @vite-ignore */ new URL("maetok_web.js", PKG).href);
  initSync({ module: readFileSync(new URL("maetok_web_bg.wasm", PKG)) });
  const began = performance.now();
  for (let i = 0; i < 30_000; i++) lastPanic();
  expect(performance.now() - began).toBeLessThan(400);
});
