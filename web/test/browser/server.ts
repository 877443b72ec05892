/**
 * A server for the browser tests: the built page and a model folder on the loopback address, with the page's
 * Content-Security-Policy as a header and, on request, the faults a network has.
 */

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { servedPolicy } from "./policy.ts";

const WEB = fileURLToPath(new URL("../../", import.meta.url));
export const DIST = join(WEB, "dist");
/** The model the tests run on. */
export const MODEL = process.env.MAETOK_MODEL ?? join(WEB, "../assets/models/toon-128");
/** Where the other shipped models lie. */
const SHIPPED = fileURLToPath(new URL("../../../assets/models/", import.meta.url));
const MOUNT = "/models/toon-128/";

/** As `cargo xtask` serves it. */
const POLICY = servedPolicy();

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".webmanifest": "application/manifest+json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webp": "image/webp",
  ".png": "image/png",
};

/** What goes wrong with a file of the model, by its path in the folder. */
export type Fault = "flipped byte" | "refused" | "missing" | "cut off" | "slow";

export class TestServer {
  /** Faults by path; a test sets them and takes them away. */
  readonly faults = new Map<string, Fault>();
  /** Text or bytes served instead of a file. */
  readonly replaced = new Map<string, string | Buffer>();
  /** What is answered in place of the page's own files whose path matches. */
  readonly instead: { path: RegExp; status: number; type: string; body: string }[] = [];
  /** JavaScript put before the worker's own: takes away what a browser lacks. */
  workerPrelude = "";
  /** The folder of the built page that is served. */
  page = DIST;
  /** Every connection breaks off: as good as no server, or no network. */
  down = false;
  /** Paths that were asked for. */
  readonly requests: string[] = [];
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<TestServer> {
    if (!existsSync(join(DIST, "index.html"))) throw new Error(`${DIST} holds no built page: run \`npm run build\` first`);
    if (!existsSync(join(MODEL, "manifest.json"))) throw new Error(`${MODEL} holds no model: set MAETOK_MODEL to a model folder`);
    const server = new TestServer();
    await new Promise<void>((resolve) => server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Ends what is under way, as when a network goes. */
  breakOff(): void {
    this.#server.closeAllConnections();
  }

  reset(): void {
    this.faults.clear();
    this.replaced.clear();
    this.instead.length = 0;
    this.workerPrelude = "";
    this.page = DIST;
    this.down = false;
    this.requests.length = 0;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (this.down) return void request.socket.destroy();
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname));
    this.requests.push(path);
    response.setHeader("content-security-policy", POLICY);
    response.setHeader("cache-control", "no-cache");
    const instead = this.instead.find((one) => one.path.test(path));
    if (path.startsWith(MOUNT)) this.#model(path.slice(MOUNT.length), response);
    else if (instead) response.writeHead(instead.status, { "content-type": instead.type }).end(instead.body);
    else if (path.startsWith("/models/")) file(join(SHIPPED, path.slice("/models/".length)), response);
    else if (this.workerPrelude && /\/worker-[^/]*\.js$/.test(path)) {
      response.setHeader("content-type", "text/javascript");
      response.end(`${this.workerPrelude}\n${readFileSync(join(this.page, path), "utf8")}`);
    } else file(join(this.page, path === "/" ? "index.html" : path), response);
  }

  #model(path: string, response: ServerResponse): void {
    const replaced = this.replaced.get(path);
    if (replaced !== undefined) {
      response.setHeader("content-type", "application/json");
      response.end(replaced);
      return;
    }
    const at = join(MODEL, path);
    switch (this.faults.get(path)) {
      case undefined:
        return file(at, response);
      case "refused":
        response.statusCode = 403;
        response.end("no");
        return;
      case "missing":
        response.statusCode = 404;
        response.end("no");
        return;
      case "flipped byte": {
        const bytes = readFileSync(at);
        const middle = bytes.length >> 1;
        bytes[middle] = bytes[middle]! ^ 1;
        response.end(bytes);
        return;
      }
      case "cut off": {
        const bytes = readFileSync(at);
        response.setHeader("content-length", bytes.length);
        response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy());
        return;
      }
      case "slow": {
        // Some bytes and then nothing: only a cancel ends it.
        const bytes = readFileSync(at);
        response.setHeader("content-length", bytes.length);
        response.write(bytes.subarray(0, 1000));
        return;
      }
    }
  }
}

function file(path: string, response: ServerResponse): void {
  if (!existsSync(path) || !statSync(path).isFile()) {
    response.statusCode = 404;
    response.end("not found");
    return;
  }
  response.setHeader("content-type", TYPES[extname(path)] ?? "application/octet-stream");
  createReadStream(path).pipe(response);
}
