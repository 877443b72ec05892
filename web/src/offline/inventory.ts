/** What the page keeps in the browser, how large it is, and how to get rid of it. Knows the caches, not the page. */

import { type FileEntry } from "../manifest.ts";
import { CACHE as SELF_TEST } from "../memory.ts";
import { CACHE as WEIGHTS } from "../weights.ts";
import { APP, MODELS } from "./names.ts";

export type Kind = "weights" | "app" | "model" | "self-test";

/** One thing that is kept and can be deleted. */
export interface Item {
  kind: Kind;
  /** Of a file of weights its path, of a page its build, of a self-test its adapter; empty where there is no name. */
  name: string;
  bytes: number;
  /** Of a page: whether it has the engine. */
  engine: boolean;
  remove: () => Promise<void>;
}

/** The part of the browser's `CacheStorage` in use. */
export type Caches = Pick<CacheStorage, "keys" | "open" | "delete">;

/** Everything that is kept. `needed`: the files of the model at hand, for their names. Throws where storage is refused. */
export async function inventory(caches: Caches, needed: readonly FileEntry[]): Promise<Item[]> {
  const items: Item[] = [];
  for (const name of await caches.keys()) {
    if (name === WEIGHTS) items.push(...(await weights(await caches.open(name), needed)));
    else if (name === SELF_TEST) items.push(...(await selfTests(await caches.open(name))));
    else if (name === MODELS || name.startsWith(APP)) {
      const cache = await caches.open(name);
      const keys = await cache.keys();
      // An empty cache is nothing that anybody keeps.
      if (keys.length === 0) continue;
      items.push({
        kind: name === MODELS ? "model" : "app",
        name: name === MODELS ? "" : name.slice(APP.length),
        bytes: (await Promise.all(keys.map((key) => size(cache, key)))).reduce((a, b) => a + b, 0),
        engine: keys.some(({ url }) => url.endsWith(".wasm")),
        remove: async () => void (await caches.delete(name)),
      });
    }
  }
  const order: Kind[] = ["weights", "app", "model", "self-test"];
  return items.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || b.bytes - a.bytes);
}

async function weights(cache: Cache, needed: readonly FileEntry[]): Promise<Item[]> {
  return await Promise.all(
    (await cache.keys()).map(async (key) => ({
      kind: "weights" as const,
      name: needed.find(({ sha256 }) => key.url.endsWith(`/${sha256}`))?.path ?? "",
      bytes: await size(cache, key),
      engine: false,
      remove: async () => void (await cache.delete(key)),
    })),
  );
}

async function selfTests(cache: Cache): Promise<Item[]> {
  return await Promise.all(
    (await cache.keys()).map(async (key) => ({
      kind: "self-test" as const,
      // The adapter's names, then the browser's; commas between, of which empty names leave some.
      name: decodeURIComponent(key.url.slice(key.url.lastIndexOf("/") + 1)).replace(/, Mozilla\/.*$/, "").split(", ").filter(Boolean).join(", "),
      bytes: await size(cache, key),
      engine: false,
      remove: async () => void (await cache.delete(key)),
    })),
  );
}

async function size(cache: Cache, key: Request): Promise<number> {
  return (await (await cache.match(key))?.blob())?.size ?? 0;
}
