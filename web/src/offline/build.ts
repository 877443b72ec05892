/** Which page this is: put in when it is built. */

declare const __PAGE_VERSION__: string;
declare const __WASM_SHA256__: string;

/** Of `package.json`. */
export const VERSION = typeof __PAGE_VERSION__ === "string" ? __PAGE_VERSION__ : "";

/** SHA-256 of the engine's file. */
export const WASM_SHA256 = typeof __WASM_SHA256__ === "string" ? __WASM_SHA256__ : "";

/** The name of the build, made of everything in it; null for a page that was not built, or is another's. */
export function buildName(): string | null {
  const name = document.querySelector<HTMLMetaElement>("meta[name=build]")?.content ?? "";
  return /^[0-9a-f]{16}$/.test(name) ? name : null;
}
