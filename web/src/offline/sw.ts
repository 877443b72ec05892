/**
 * The service worker: serves the page when there is no network. Built on its own by `vite.offline.ts`, to `sw.js`.
 *
 * Versions never mix. Every build has a cache of its own, filled as a whole, each file compared with the SHA-256 that was
 * taken when the page was built, or not at all. A page is always begun with this worker's build; a page of an earlier one
 * goes on with its own files, which have their hash in their names, and its cache stays until no page holds its lock.
 *
 * Weights are not here: `weights.ts` keeps them, by their hash. Of a model's folder what the page shows before that, the
 * manifest and the thumbnails, comes from the network as long as there is one.
 */

import { APP, LOCK, MODELS, type Told } from "./names.ts";

interface File {
  path: string;
  sha256: string;
}

/** Put in when the page is built. */
declare const __BUILD__: string;
declare const __SHELL__: File[];
/** Kept once it is in use. */
declare const __LATER__: File[];

/** The parts of a service worker's scope in use: TypeScript's library for it does not go together with the page's. */
interface Waiting extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Waiting {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface Scope {
  registration: { scope: string };
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void>; matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<unknown[]> };
  addEventListener(type: "install" | "activate", listener: (event: Waiting) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetching) => void): void;
  addEventListener(type: "message", listener: (event: Waiting & { data: Told; ports: readonly MessagePort[] }) => void): void;
}
const scope = globalThis as unknown as Scope;

const OWN = `${APP}${__BUILD__}`;
const at = (path: string) => new URL(path, scope.registration.scope).href;
const PAGE = at("index.html");
const FILES = new Set([...__SHELL__, ...__LATER__].map(({ path }) => at(path)));

/** What a file's answer keeps of its headers: above all the policy of the page and of its worker. */
const HEADERS = ["content-type", "content-security-policy", "referrer-policy", "x-content-type-options"];

scope.addEventListener("install", (event) => event.waitUntil(install()));
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim().then(tidy)));
scope.addEventListener("message", (event) => {
  const answer = (value: unknown) => event.ports[0]?.postMessage(value);
  switch (event.data.kind) {
    case "build":
      return answer(__BUILD__);
    case "keep-page":
    case "keep-engine": {
      const files = event.data.kind === "keep-page" ? __SHELL__ : [...__SHELL__, ...__LATER__];
      return event.waitUntil(keep(files).then(() => answer(true), () => answer(false)));
    }
    case "tidy":
      return event.waitUntil(tidy());
  }
});
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  url.hash = "";
  url.search = "";
  const { href } = url;
  if (request.mode === "navigate") {
    if (href === scope.registration.scope || href === PAGE) event.respondWith(kept(PAGE, request));
  } else if (FILES.has(href) || href.startsWith(at("assets/"))) event.respondWith(kept(href, request));
  else if (request.destination === "image" || href.endsWith("/manifest.json")) event.respondWith(networkFirst(href, request));
});

async function install(): Promise<void> {
  try {
    // Who has used the engine offline can do so with the new version.
    const engineKept = (await Promise.all((await apps()).map(holdsEngine))).some(Boolean);
    await keep(engineKept ? [...__SHELL__, ...__LATER__] : __SHELL__);
  } catch (error) {
    // A half is never used, but would take room.
    await caches.delete(OWN);
    throw error;
  }
  // Pages that are open keep their files, so there is nothing to wait for.
  await scope.skipWaiting();
}

/** Puts files into the cache of this build, those it has not yet. */
async function keep(files: readonly File[]): Promise<void> {
  const cache = await caches.open(OWN);
  await Promise.all(
    files.map(async ({ path, sha256 }) => {
      const url = at(path);
      if (await cache.match(url)) return;
      // What did not change since the last version need not be downloaded; nor what the page has just downloaded.
      for (const find of [() => caches.match(url), () => fetch(url, { cache: "force-cache" }), () => fetch(url, { cache: "no-cache" })]) {
        const response = await find();
        if (!response?.ok) continue;
        const bytes = await response.arrayBuffer();
        if (hex(await crypto.subtle.digest("SHA-256", bytes)) !== sha256) continue;
        const headers = HEADERS.flatMap((name) => (response.headers.has(name) ? [[name, response.headers.get(name)!] as [string, string]] : []));
        return await cache.put(url, new Response(bytes, { headers }));
      }
      throw new Error(`${path} is not the one of this version`);
    }),
  );
}

/** Deletes the caches of builds that no page uses. */
async function tidy(): Promise<void> {
  const { held = [] } = await navigator.locks.query();
  const pages = held.filter(({ name }) => name?.startsWith(LOCK));
  // Somebody has not said yet which build it is: next time, then.
  if ((await scope.clients.matchAll({ type: "window", includeUncontrolled: true })).length > pages.length) return;
  const used = new Set([OWN, ...pages.map(({ name }) => `${APP}${name!.slice(LOCK.length)}`)]);
  await Promise.all((await apps()).filter((name) => !used.has(name)).map((name) => caches.delete(name)));
}

async function apps(): Promise<string[]> {
  return (await caches.keys()).filter((name) => name.startsWith(APP));
}

async function holdsEngine(name: string): Promise<boolean> {
  const cache = await caches.open(name);
  return (await cache.keys()).some(({ url }) => url.endsWith(".wasm"));
}

/** From the cache of this build, or of an earlier one for a page of that; else from the network, as without this worker. */
async function kept(href: string, request: Request): Promise<Response> {
  const own = await caches.match(href, { cacheName: OWN });
  if (own) return own;
  if (request.mode !== "navigate") {
    for (const cacheName of await apps()) {
      const earlier = await caches.match(href, { cacheName });
      if (earlier) return earlier;
    }
  }
  return await fetch(request);
}

async function networkFirst(href: string, request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    const found = await caches.match(href, { cacheName: MODELS });
    if (found) return found;
    throw error;
  }
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
