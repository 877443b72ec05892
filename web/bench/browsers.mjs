/**
 * Times the engine and onnxruntime-web in both browsers, on the same weights, and prints JSON.
 *
 *     node bench/browsers.mjs --models DIR --onnx DIR --names a,b --browsers chromium,firefox --runs 5
 *
 * DIR/NAME is a model folder, or the ONNX files made of it (tests/bench/export_onnx.py). Run by `cargo xtask bench`.
 * One engine at a time computes, each in a page of its own, on one thread; a time ends when the result has been read.
 */

import { createReadStream, existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import puppeteer from "puppeteer-core";

const WEB = fileURLToPath(new URL("../", import.meta.url));

const { values: options } = parseArgs({
  options: {
    models: { type: "string" },
    onnx: { type: "string" },
    names: { type: "string", default: "toon-128" },
    browsers: { type: "string", default: "chromium,firefox" },
    engines: { type: "string", default: "cpu,webgpu,plain,ort-wasm,ort-webgpu" },
    // Models for `plain`, which takes minutes for each; all where it is not said.
    "plain-names": { type: "string" },
    layers: { type: "string", default: "385x768x3072,128x1152x4608" },
    runs: { type: "string", default: "5" },
  },
});

const BROWSERS = {
  chromium: {
    browser: "chrome",
    executablePath: process.env.MAETOK_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      ..."no-sandbox enable-unsafe-webgpu use-webgpu-adapter=swiftshader disable-quic no-first-run".split(" "),
      ..."disable-background-networking disable-component-update disable-sync".split(" "),
    ].map((flag) => `--${flag}`),
  },
  firefox: {
    browser: "firefox",
    executablePath: process.env.MAETOK_FIREFOX ?? "/usr/bin/firefox-esr",
    extraPrefsFirefox: { "dom.webgpu.enabled": true, "gfx.webgpu.ignore-blocklist": true },
  },
};

/** Clocks of a browser move in steps; a time is made long enough that they do not show. */
const AT_LEAST = { chromium: 0.2, firefox: 1 };

const TYPES = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };
const FOLDERS = {
  pkg: join(WEB, "pkg"),
  ort: join(WEB, "bench/node_modules/onnxruntime-web/dist"),
  bench: join(WEB, "bench"),
  models: options.models,
  onnx: options.onnx,
};

function answer(request, response) {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://x").pathname));
  if (path === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>benchmark</title>");
  if (path === "/favicon.ico") return response.writeHead(204).end();
  const [, folder, ...rest] = path.split("/");
  const file = FOLDERS[folder] && join(FOLDERS[folder], ...rest);
  if (!file || !existsSync(file) || !statSync(file).isFile()) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
  createReadStream(file).pipe(response);
}

const server = createServer(answer);
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${server.address().port}`;
const results = [];
try {
  for (const name of options.browsers.split(",")) {
    const browser = await puppeteer.launch({ ...BROWSERS[name], headless: true, protocolTimeout: 3_600_000 });
    try {
      const version = await browser.version();
      for (const engine of options.engines.split(",")) {
        const names = (engine === "plain" && options["plain-names"]) || options.names;
        for (const model of names.split(",")) await measure(browser, { browser: name, version, engine, model });
        if (engine === "webgpu" || engine === "plain") await measure(browser, { browser: name, version, engine, model: null });
      }
    } finally {
      await browser.close();
    }
  }
} finally {
  server.close();
}
console.log(JSON.stringify(results));

async function measure(browser, about) {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (message.type() === "error") console.error(`${about.browser}, ${about.engine}: ${message.text()}`);
  });
  try {
    await page.goto(`${origin}/`);
    const before = memory(browser.process().pid);
    const asked = {
      ...about,
      runs: Number(options.runs),
      atLeast: AT_LEAST[about.browser],
      layers: options.layers.split(",").map((layer) => layer.split("x").map(Number)),
    };
    const found = await page.evaluate(async (asked) => (await import("/bench/engines.mjs")).measure(asked), asked);
    results.push({ ...about, ...found, memory: before && memory(browser.process().pid) - before });
    console.error(`${about.browser}, ${about.engine}, ${about.model ?? "kernels"}: ${summary(found.figures)}`);
  } catch (error) {
    results.push({ ...about, error: String(error) });
    console.error(`${about.browser}, ${about.engine}, ${about.model ?? "kernels"}: ${error}`);
  } finally {
    await page.close();
  }
}

/**
 * Bytes in memory of a process and all that it started, pages that they share counted once; null where the system does
 * not tell. What a page adds to an empty one is the engine's, its adapter's and its weights'.
 */
function memory(pid) {
  if (!existsSync(`/proc/${pid}/smaps_rollup`)) return null;
  const parents = new Map();
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // The name, in brackets, may hold anything.
      parents.set(Number(name), Number(readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1).split(" ")[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  const belongs = (one) => one === pid || (parents.has(one) && belongs(parents.get(one)));
  let bytes = 0;
  for (const one of [...parents.keys()].filter(belongs)) {
    try {
      bytes += 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/smaps_rollup`, "utf8"))[1]);
    } catch {
      // It ended meanwhile.
    }
  }
  return bytes;
}

function summary(figures) {
  const median = (seconds) => [...seconds].sort((a, b) => a - b)[seconds.length >> 1];
  return figures.map(({ name, seconds }) => `${name} ${(1000 * median(seconds)).toFixed(1)} ms`).join(", ");
}
