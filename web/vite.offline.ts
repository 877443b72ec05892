/**
 * A Vite plugin that makes the built page one sealed thing: a build has a name, made of everything in it, that stands in
 * `index.html`; and `sw.js`, the service worker of `src/offline/sw.ts`, knows every file by its SHA-256. So a browser can
 * tell one build from another and never puts files of two together.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin, type ResolvedConfig } from "vite";

const WORKER = fileURLToPath(new URL("src/offline/sw.ts", import.meta.url));

/** Fetched when it is first wanted, and not before: 12 MB. */
const LATER = /\.wasm$/;

/** Name of the service worker's file: not hashed, browsers come back for it. */
const NAME = "sw.js";

export function offline(): Plugin {
  let config: ResolvedConfig;
  return {
    name: "maetok-offline",
    apply: "build",
    configResolved: (resolved) => void (config = resolved),
    transformIndexHtml: {
      order: "post",
      handler(html, { bundle }) {
        // Names of bundled files have the hash of what is in them; the public ones have not.
        const contents = files(config.publicDir).map((path) => `${path} ${sha256(readFileSync(join(config.publicDir, path)))}`);
        const name = sha256([html, ...Object.keys(bundle ?? {}).sort(), ...contents, readFileSync(WORKER, "utf8")].join("\n")).slice(0, 16);
        return html.replace('<meta name="build" content="development"', `<meta name="build" content="${name}"`);
      },
    },
    async closeBundle() {
      const folder = config.build.outDir;
      const at = join(config.root, folder);
      await seal(folder.startsWith("/") ? folder : at);
    },
  };
}

/** Writes the service worker for the built page in `folder`. */
async function seal(folder: string): Promise<void> {
  const html = readFileSync(join(folder, "index.html"), "utf8");
  const name = /<meta name="build" content="([0-9a-f]{16})"/.exec(html)?.[1];
  if (!name) throw new Error(`${folder}/index.html does not tell which build it is`);
  const listed = files(folder)
    .filter((path) => path !== NAME && !/\.(br|gz|map)$/.test(path))
    .map((path) => ({ path, sha256: sha256(readFileSync(join(folder, path))) }));
  const made = await build({
    configFile: false,
    logLevel: "warn",
    publicDir: false,
    define: {
      __BUILD__: JSON.stringify(name),
      __SHELL__: JSON.stringify(listed.filter(({ path }) => !LATER.test(path))),
      __LATER__: JSON.stringify(listed.filter(({ path }) => LATER.test(path))),
    },
    build: { write: false, target: "es2022", rolldownOptions: { input: WORKER, output: { format: "iife" } } },
  });
  const [output] = Array.isArray(made) ? made : [made];
  const chunk = output && "output" in output ? output.output[0] : undefined;
  if (!chunk || chunk.type !== "chunk") throw new Error("the service worker was not built");
  writeFileSync(join(folder, NAME), chunk.code);
}

/** Paths of the files below a folder, in order. */
function files(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length).replaceAll("\\", "/").replace(/^\//, ""))
    .sort();
}

function sha256(what: string | Uint8Array): string {
  return createHash("sha256").update(what).digest("hex");
}
