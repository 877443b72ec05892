/**
 * The page's end of the service worker: registers it once the page stands, keeps what shows a model, hears of new
 * versions. One for the document. Nothing here fails: a page without it is a page that needs the network.
 */

import { buildName } from "./build.ts";
import { LOCK, MODELS, type Told } from "./names.ts";

/** How far it has come. */
export type State =
  /** This browser offers no service workers here: no secure page, a private window, or storage refused. */
  | "unsupported"
  /** On its way. */
  | "starting"
  /** The page itself is kept; it can be begun without a network. */
  | "kept"
  /** It could not be kept, for want of room or of a server. */
  | "failed";

/** A browser's offer to install the page as an app: Chromium's alone. */
interface InstallOffer extends Event {
  prompt(): Promise<{ outcome: "accepted" | "dismissed" }>;
}

/** A page that stays open asks so often, in milliseconds, whether there is a new version. */
const ASK_EVERY = 3_600_000;

/** Files of a model asked for at once. */
const AT_ONCE = 6;

export class Offline extends EventTarget {
  /** The build this page is of; null if it is none. */
  readonly build = buildName();
  state: State = "unsupported";
  /** A build other than this page's is ready: it is begun with the next load. */
  updated = false;
  offer: InstallOffer | null = null;
  #registration: ServiceWorkerRegistration | null = null;
  #started = false;
  #engineInUse = false;

  /** Begins, once the page has nothing more urgent to do. */
  start(): void {
    if (this.#started || this.build === null || !("serviceWorker" in navigator) || !navigator.serviceWorker) return;
    this.#started = true;
    this.#become({ state: "starting" });
    // Held until the page goes: its files stay until then. Nobody waits for it.
    navigator.locks?.request(`${LOCK}${this.build}`, { mode: "shared" }, () => new Promise<never>(() => {})).catch(() => {});
    window.addEventListener("beforeinstallprompt", (event) => {
      event.preventDefault();
      this.offer = event as InstallOffer;
      this.#tell();
    });
    window.addEventListener("appinstalled", () => {
      this.offer = null;
      this.#tell();
    });
    if (document.readyState === "complete") this.#soon();
    else window.addEventListener("load", () => this.#soon(), { once: true });
  }

  /** Keeps what shows a model before it is downloaded, so that it is shown without a network too. */
  async keepModel(manifest: string, thumbnails: readonly string[]): Promise<void> {
    if (!this.#started) return;
    try {
      const cache = await caches.open(MODELS);
      const addresses = [manifest, ...thumbnails];
      const next = async (): Promise<void> => {
        const address = addresses.shift();
        if (address === undefined) return;
        // The browser has it from showing it; without a network what is kept stays.
        const response = await fetch(address, { cache: "force-cache" }).catch(() => null);
        if (response?.ok) await cache.put(address, response);
        return next();
      };
      await Promise.all(Array.from({ length: AT_ONCE }, next));
    } catch {
      // No room, or no storage.
    }
    this.#tell();
  }

  /** The engine has been downloaded here, so it may be kept with the page. */
  async keepEngine(): Promise<boolean> {
    this.#engineInUse = true;
    const kept = (await this.#ask({ kind: "keep-engine" })) === true;
    if (kept) this.#tell();
    return kept;
  }

  /** Asks the server for a new version. */
  async look(): Promise<void> {
    await this.#registration?.update().catch(() => {});
  }

  /** Takes up the browser's offer to install the page. */
  async install(): Promise<void> {
    const offer = this.offer;
    this.offer = null;
    await offer?.prompt().catch(() => {});
    this.#tell();
  }

  #soon(): void {
    const begin = () => void this.#register();
    if ("requestIdleCallback" in globalThis) requestIdleCallback(begin, { timeout: 4000 });
    else setTimeout(begin, 1000);
  }

  async #register(): Promise<void> {
    const { serviceWorker } = navigator;
    try {
      this.#registration = await serviceWorker.register(new URL("sw.js", document.baseURI), { updateViaCache: "none" });
    } catch {
      // Without a network the one of before serves on.
      this.#registration = (await serviceWorker.getRegistration().catch(() => undefined)) ?? null;
      if (!this.#registration) return this.#become({ state: "failed" });
    }
    serviceWorker.addEventListener("controllerchange", () => void this.#compare());
    this.#watch(this.#registration.installing);
    this.#registration.addEventListener("updatefound", () => this.#watch(this.#registration!.installing));
    if (this.#registration.active) await this.#settle();
    setInterval(() => void this.look(), ASK_EVERY);
    window.addEventListener("online", () => void this.look());
  }

  #watch(installing: ServiceWorker | null): void {
    installing?.addEventListener("statechange", () => {
      if (installing.state === "activated") void this.#settle();
      if (installing.state === "redundant" && !this.#registration?.active) this.#become({ state: "failed" });
    });
  }

  async #settle(): Promise<void> {
    // Somebody may have deleted it since.
    this.#become({ state: (await this.#ask({ kind: "keep-page" })) === false ? "failed" : "kept" });
    await this.#compare();
    if (this.#engineInUse) await this.keepEngine();
    await this.#ask({ kind: "tidy" }, false);
  }

  /** Whether the service worker is of another build than the page. */
  async #compare(): Promise<void> {
    const other = await this.#ask({ kind: "build" });
    // A page that was loaded past an older service worker is the newer of the two, until that worker is replaced.
    if (typeof other === "string") this.#become({ updated: other !== this.build });
  }

  /** Undefined if nobody answers. */
  #ask(told: Told, answered = true): Promise<unknown> {
    const active = this.#registration?.active;
    if (!active) return Promise.resolve(undefined);
    const { port1, port2 } = new MessageChannel();
    active.postMessage(told, [port2]);
    if (!answered) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      port1.onmessage = ({ data }) => (port1.close(), resolve(data));
    });
  }

  #become(what: { state?: State; updated?: boolean }): void {
    Object.assign(this, what);
    this.#tell();
  }

  /** Somebody who shows it should look again. */
  #tell(): void {
    this.dispatchEvent(new Event("change"));
  }
}

export const offline = new Offline();
