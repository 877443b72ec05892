/**
 * `<maetok-studio src="models/toon-128/manifest.json">`: the whole page's work in one element. The page's address holds
 * its state.
 *
 * Attributes: `src`, the model's manifest; `device`, `auto` (the default), `webgpu` or `cpu`. It draws into itself, not
 * into a shadow tree, and brings no style: `style/` does. Registered in `main.ts`.
 */

import { Client } from "./client.ts";
import { asMaetokError, type MaetokError } from "./errors.ts";
import { banner } from "./offline/banner.ts";
import { offline } from "./offline/offline.ts";
import type { Wanted } from "./protocol.ts";
import { Shell } from "./shell.ts";
import { offerTour } from "./tour/offer.ts";
import { h } from "./ui/dom.ts";
import { receiveDrops } from "./ui/drops.ts";
import { Machine } from "./ui/machine.ts";
import { Notice } from "./ui/notice.ts";
import { words } from "./words/index.ts";
import { PageError, told } from "./words/told.ts";

/** What the element is made of while it is in a page. */
interface Parts {
  client: Client;
  machine: Machine;
  notice: Notice;
  shell: Shell;
  /** For those who listen. */
  say: (text: string) => void;
  /** Aborted when the element leaves the page. */
  ending: AbortController;
}

export class MaetokStudio extends HTMLElement {
  #parts: Parts | null = null;
  /** Why there is no model to show, if there is none. */
  #missing: MaetokError | null = null;

  connectedCallback(): void {
    const wanted = asWanted(this.getAttribute("device"));
    const client = new Client(wanted, () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "maetok" }));
    const status = h("p", { role: "status", class: "visually-hidden" });
    const say = (text: string) => {
      status.textContent = text;
    };
    const machine = new Machine(
      wanted,
      (choice) => {
        client.restart(choice);
        void this.#diagnose(parts);
      },
      () => {
        client.retest();
        void this.#diagnose(parts);
      },
    );
    const notice = new Notice(machine.summary);
    const ending = new AbortController();
    const shell = new Shell({ client, manifest: this.#src, notice, say, signal: ending.signal });
    const parts = { client, machine, notice, shell, say, ending };
    this.#parts = parts;
    this.#missing = null;
    client.onDiagnosis = (diagnosis) => machine.show(diagnosis);
    receiveDrops(
      {
        over: (on) => this.classList.toggle("over", on),
        take: (file) => {
          if (!this.#ready(parts)) return;
          notice.clear();
          void shell.take(file);
        },
        refuse: () => {
          const { notAFile, notAFileAdvice } = words().shell;
          if (this.#ready(parts)) notice.show(new PageError("picture", notAFile, notAFileAdvice));
        },
      },
      ending.signal,
    );
    offline.start();
    client.journal.subscribe(() => keepEngine(client, ending.signal), ending.signal);
    this.replaceChildren(banner(offline, ending.signal), machine.element, notice.element, shell.element, status);
    void this.#diagnose(parts);
    void this.#describe(parts);
  }

  /** Ends the worker and every listener; put back into a page, the element begins anew. */
  disconnectedCallback(): void {
    this.#parts?.ending.abort();
    this.#parts?.client.end();
    this.#parts = null;
    this.classList.remove("over");
    this.replaceChildren();
  }

  get #src(): string {
    return new URL(this.getAttribute("src") ?? "", document.baseURI).href;
  }

  async #diagnose(parts: Parts): Promise<void> {
    const { client, machine, notice } = parts;
    try {
      machine.show(await client.diagnose());
    } catch (thrown) {
      const error = asMaetokError(thrown);
      // Another choice came first, or the element has left the page.
      if (error.code === "cancelled") return;
      machine.showUnknown();
      notice.show(error, () => this.#again(parts));
    }
  }

  /** Shows the controls once the model's table of contents is there; without it, why there are none. */
  async #describe(parts: Parts): Promise<void> {
    const { client, shell, ending } = parts;
    try {
      const model = await client.describe(this.#src);
      if (ending.signal.aborted) return;
      this.#missing = null;
      const filled = shell.filled;
      shell.fill(model);
      if (!filled) this.#offerTour(parts);
      void offline.keepModel(this.#src, model.classes.flatMap(({ thumbnail }) => thumbnail ?? []));
      this.dispatchEvent(new Event("load"));
    } catch (thrown) {
      if (ending.signal.aborted) return;
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") return void this.#describe(parts);
      this.#missing = error;
      shell.hide();
      this.#tellMissing(parts, words().shell.noModel);
    }
  }

  #offerTour({ shell, notice, say, ending }: Parts): void {
    const { failed } = words().tour;
    const { panelAdvice } = words().shell;
    offerTour({ panels: () => shell.panels, show: (panel) => shell.show(panel), say, failed: () => notice.show(new PageError("download", failed, panelAdvice)) }, ending.signal);
  }

  /** Whether a picture can be taken; says why not. */
  #ready(parts: Parts): boolean {
    const { notReady, notReadyAdvice, noModelForPicture } = words().shell;
    if (parts.shell.filled) return true;
    if (this.#missing) this.#tellMissing(parts, noModelForPicture);
    else parts.notice.show(new PageError("busy", notReady, notReadyAdvice));
    return false;
  }

  #tellMissing(parts: Parts, put: (sentence: string) => string): void {
    const { message, advice } = told(this.#missing!);
    parts.notice.show(new PageError(this.#missing!.code, put(message), advice), () => this.#again(parts));
  }

  /** Does again what failed. A worker that did not start fails both; a new one tells its diagnosis by itself. */
  #again(parts: Parts): void {
    if (this.#missing) void this.#describe(parts);
    else void this.#diagnose(parts);
  }
}

/** With the first work that is done the engine is here, and can be kept: once for the page. */
let engineKept = false;
function keepEngine({ journal }: Client, { aborted }: AbortSignal): void {
  if (engineKept || aborted || !journal.entries.some(({ outcome }) => outcome === "done")) return;
  engineKept = true;
  void offline.keepEngine();
}

function asWanted(text: string | null): Wanted {
  return text === "webgpu" || text === "cpu" ? text : "auto";
}
