import { afterEach, expect, it, vi } from "vitest";
import { instantiate } from "../../src/engine.ts";

const WASM = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
const HTML = new TextEncoder().encode("<!doctype html><title>Sign in</title>");

afterEach(() => vi.unstubAllGlobals());

/** What the page is told when the server answers with `answer`. The compiler is the real one. */
async function load(answer: () => Response | Promise<Response>): Promise<number> {
  vi.stubGlobal("fetch", async () => answer());
  let heard = 0;
  const compile = async ({ module_or_path }: { module_or_path: Response }) => WebAssembly.instantiate(await module_or_path.arrayBuffer());
  await instantiate("http://host/engine.wasm", compile, (bytes) => (heard += bytes));
  return heard;
}

/** A stream that breaks off after `bytes`. */
function broken(bytes: Uint8Array): Response {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(bytes);
        setTimeout(() => controller.error(new TypeError("network error")));
      },
    }),
  );
}

it("counts what arrives", async () => {
  expect(await load(() => new Response(WASM))).toBe(WASM.length);
});

it.each<[string, () => Response | Promise<Response>, string, RegExp]>([
  ["refuses", () => new Response("no", { status: 404 }), "download", /^The server refused the engine \(HTTP 404\)\.$/],
  ["cannot be reached", () => Promise.reject(new TypeError("Failed to fetch")), "download", /cannot be reached\.$/],
  ["answers with a page", () => new Response(HTML, { headers: { "content-type": "text/html" } }), "download", /^The server sent something else in place of the engine\.$/],
  ["answers with a page that it calls wasm", () => new Response(HTML, { headers: { "content-type": "application/wasm" } }), "download", /something else/],
  ["answers with nothing", () => new Response(new Uint8Array()), "download", /something else/],
  ["breaks off", () => broken(WASM.slice(0, 6)), "download", /^The download of the engine broke off\.$/],
  ["sends a whole file that does not compile", () => new Response(new Uint8Array([...WASM.slice(0, 4), 9, 9, 9, 9])), "unsupported", /^This browser cannot compile the engine\.$/],
])("a server that %s is told of as what it is, and the next try works", async (_, answer, code, words) => {
  await expect(load(answer)).rejects.toMatchObject({ code, message: expect.stringMatching(words), fatal: false });
  await expect(load(() => new Response(WASM))).resolves.toBe(WASM.length);
});
