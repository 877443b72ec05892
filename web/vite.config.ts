import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig } from "vite";
import { offline } from "./vite.offline.ts";

/** Made by `cargo xtask` before the front end is built. */
const wasm = readFileSync(new URL("pkg/maetok_web_bg.wasm", import.meta.url));
const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as { version: string };

export default defineConfig({
  // Addresses relative to the page, so that it can be served from any folder.
  base: "./",
  define: {
    __WASM_BYTES__: String(wasm.length),
    __WASM_SHA256__: JSON.stringify(createHash("sha256").update(wasm).digest("hex")),
    // Another version of the same page, for the tests of what happens between two.
    __PAGE_VERSION__: JSON.stringify(process.env.MAETOK_PAGE_VERSION ?? version),
  },
  plugins: [offline()],
  worker: { format: "es" },
  build: {
    target: "es2022",
    // The Content-Security-Policy allows no data: addresses for scripts or styles, and no inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The wasm file is known to be large; it is downloaded on the first click.
    chunkSizeWarningLimit: 500,
  },
});
