import { statSync } from "node:fs";
import { defineConfig } from "vite";

/** Made by `cargo xtask` before the front end is built. */
const wasm = new URL("pkg/maetok_web_bg.wasm", import.meta.url);

export default defineConfig({
  // Addresses relative to the page, so that it can be served from any folder.
  base: "./",
  define: { __WASM_BYTES__: String(statSync(wasm).size) },
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
