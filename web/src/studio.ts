/**
 * `<maetok-studio src="models/toon-64/manifest.json">`: the whole page's work in one element.
 *
 * Attributes: `src`, the model's manifest; `device`, `auto` (the default), `webgpu` or `cpu`. It draws into itself, not
 * into a shadow tree, and brings no style: `style.css` does. Registered in `main.ts`.
 */

import { Client } from "./client.ts";
import { asMaetokError, MaetokError } from "./errors.ts";
import type { Wanted } from "./protocol.ts";
import { h } from "./ui/dom.ts";
import { Generate } from "./ui/generate.ts";
import { Machine } from "./ui/machine.ts";
import { Notice } from "./ui/notice.ts";
import { Reconstruct } from "./ui/reconstruct.ts";

export class MaetokStudio extends HTMLElement {
  readonly #status = h("p", { role: "status", class: "visually-hidden" });
  readonly #notice = new Notice();
  #client: Client | null = null;
  #machine: Machine | null = null;
  #parts: { generate: Generate; reconstruct: Reconstruct } | null = null;

  connectedCallback(): void {
    if (this.#client) return;
    const wanted = asWanted(this.getAttribute("device"));
    const client = new Client(wanted, () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "maetok" }));
    this.#client = client;
    this.#machine = new Machine(wanted, (choice) => {
      client.restart(choice);
      void this.#diagnose();
    });
    const say = (words: string) => {
      this.#status.textContent = words;
    };
    client.onDiagnosis = (diagnosis) => this.#machine!.show(diagnosis);
    const generate = new Generate(client, this.#src, say);
    const reconstruct = new Reconstruct(client, this.#src, say);
    this.#parts = { generate, reconstruct };
    const loading = this.querySelector(".loading");
    loading?.remove();
    this.append(this.#machine.element, this.#notice.element, this.#status);
    void this.#diagnose();
    void this.#describe();
  }

  get #src(): string {
    return new URL(this.getAttribute("src") ?? "", document.baseURI).href;
  }

  async #diagnose(): Promise<void> {
    try {
      const diagnosis = await this.#client!.diagnose();
      this.#machine!.show(diagnosis);
    } catch (thrown) {
      const error = asMaetokError(thrown);
      // Another choice came first.
      if (error.code !== "cancelled") this.#notice.show(error, () => void this.#diagnose());
    }
  }

  /** Shows the controls once the model's table of contents is there; without it, why there are none. */
  async #describe(): Promise<void> {
    const { generate, reconstruct } = this.#parts!;
    try {
      const model = await this.#client!.describe(this.#src);
      generate.fill(model);
      reconstruct.fill(model);
      if (model.classes.length > 0) this.append(generate.element);
      this.append(reconstruct.element);
      this.dispatchEvent(new Event("load"));
    } catch (thrown) {
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") return void this.#describe();
      const missing = new MaetokError(error.code, `There is no model to show: ${decapitalise(error.message)}`, error.advice);
      this.#notice.show(missing, () => void this.#describe());
    }
  }
}

function decapitalise(text: string): string {
  return text.replace(/^(The|It|This) /, (word) => word.toLowerCase());
}

function asWanted(text: string | null): Wanted {
  return text === "webgpu" || text === "cpu" ? text : "auto";
}
