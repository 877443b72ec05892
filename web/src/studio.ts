/**
 * `<maetok-studio src="models/toon-128/manifest.json">`: the whole page's work in one element.
 *
 * Attributes: `src`, the model's manifest; `device`, `auto` (the default), `webgpu` or `cpu`. It draws into itself, not
 * into a shadow tree, and brings no style: `style/` does. Registered in `main.ts`.
 */

import { Client } from "./client.ts";
import { asMaetokError, MaetokError } from "./errors.ts";
import type { Wanted } from "./protocol.ts";
import { h } from "./ui/dom.ts";
import { receiveDrops } from "./ui/drops.ts";
import { Generate } from "./ui/generate.ts";
import { Machine } from "./ui/machine.ts";
import { Notice } from "./ui/notice.ts";
import { Reconstruct } from "./ui/reconstruct.ts";

/** What the element is made of while it is in a page. */
interface Parts {
  client: Client;
  machine: Machine;
  notice: Notice;
  generate: Generate;
  reconstruct: Reconstruct;
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
    const say = (words: string) => {
      status.textContent = words;
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
    const generate = new Generate(client, this.#src, say);
    const reconstruct = new Reconstruct(client, this.#src, say);
    const ending = new AbortController();
    const parts = { client, machine, notice, generate, reconstruct, ending };
    this.#parts = parts;
    this.#missing = null;
    client.onDiagnosis = (diagnosis) => machine.show(diagnosis);
    receiveDrops(
      {
        over: (on) => reconstruct.over(on),
        take: (file) => (this.#ready(parts) ? reconstruct.take(file) : undefined),
        refuse: () => (this.#ready(parts) ? reconstruct.refuse() : undefined),
      },
      ending.signal,
    );
    this.replaceChildren(machine.element, notice.element, status);
    void this.#diagnose(parts);
    void this.#describe(parts);
  }

  /** Ends the worker and every listener; put back into a page, the element begins anew. */
  disconnectedCallback(): void {
    this.#parts?.ending.abort();
    this.#parts?.client.end();
    this.#parts = null;
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
    const { client, generate, reconstruct, ending } = parts;
    try {
      const model = await client.describe(this.#src);
      this.#missing = null;
      generate.fill(model);
      reconstruct.fill(model);
      if (model.classes.length > 0) this.append(generate.element);
      this.append(reconstruct.element);
      this.dispatchEvent(new Event("load"));
    } catch (thrown) {
      if (ending.signal.aborted) return;
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") return void this.#describe(parts);
      this.#missing = error;
      this.#tellMissing(parts, "There is no model to show: ");
    }
  }

  /** Whether a picture can be taken; says why not. */
  #ready(parts: Parts): boolean {
    if (parts.reconstruct.element.isConnected) return true;
    if (this.#missing) this.#tellMissing(parts, "The picture cannot be taken without a model: ");
    else parts.notice.show(new MaetokError("busy", "The page is not ready for a picture yet.", "Give it again in a moment."));
    return false;
  }

  #tellMissing(parts: Parts, begin: string): void {
    const { code, message, advice } = this.#missing!;
    parts.notice.show({ code, message: begin + decapitalise(message), advice }, () => this.#again(parts));
  }

  /** Does again what failed. A worker that did not start fails both; a new one tells its diagnosis by itself. */
  #again(parts: Parts): void {
    if (this.#missing) void this.#describe(parts);
    else void this.#diagnose(parts);
  }
}

function decapitalise(text: string): string {
  return text.replace(/^(The|It|This) /, (word) => word.toLowerCase());
}

function asWanted(text: string | null): Wanted {
  return text === "webgpu" || text === "cpu" ? text : "auto";
}
