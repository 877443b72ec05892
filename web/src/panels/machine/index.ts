/** The machine: what computes, how fast, what is kept, and how the page works without a network. */

import "../../style/laboratory.css";
import { offline } from "../../offline/offline.ts";
import { h } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { lang, words } from "../../words/index.ts";
import type { Lab, Panel } from "../panel.ts";
import { BenchPart } from "./bench.ts";
import { EnginePart } from "./engine.ts";
import { explainMachine } from "./explain.ts";
import { type Findings, gatherFindings } from "./findings.ts";
import { MemoryPart } from "./memory.ts";
import { OfflinePart } from "./offline.ts";
import { Report } from "./report.ts";
import { StoragePart } from "./storage.ts";
import { TimesPart } from "./times.ts";

/** Changes closer together than this, in milliseconds, are looked at once. */
const TOGETHER = 150;

export function create(lab: Lab): Panel {
  return new Machine(lab);
}

class Machine implements Panel {
  readonly #lab: Lab;
  readonly #engine = new EnginePart();
  readonly #memory = new MemoryPart();
  readonly #times: TimesPart;
  readonly #bench: BenchPart;
  readonly #storage: StoragePart;
  readonly #offline: OfflinePart;
  readonly element: HTMLElement;
  #findings: Findings | null = null;
  #visible = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(lab: Lab) {
    this.#lab = lab;
    const title = h("h2", { id: "machine-title", tabindex: -1 }, words().diagnosis.title);
    const notice = new Notice(title);
    const report = new Report(() => this.#collect(), notice, lab.say);
    this.#times = new TimesPart(lab.client.journal);
    this.#bench = new BenchPart(lab, (text) => report.copy(text));
    this.#storage = new StoragePart(lab);
    this.#offline = new OfflinePart(lab, () => this.#soon());
    this.element = h(
      "section",
      { class: "card laboratory", "aria-labelledby": "machine-title" },
      title,
      h("p", { class: "lead" }, words().diagnosis.lead),
      report.element,
      notice.element,
      h(
        "div",
        { class: "parts" },
        h("div", {}, this.#engine.element, this.#memory.element),
        h("div", {}, this.#times.element, this.#offline.element, this.#storage.element),
      ),
      this.#bench.element,
      explainMachine(),
    );
    lab.client.journal.subscribe(() => this.#soon(), lab.signal);
    offline.addEventListener("change", () => this.#soon(), { signal: lab.signal });
  }

  visible(on: boolean): void {
    this.#visible = on;
    if (on) void this.#show();
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#visible) void this.#show();
    }, TOGETHER);
  }

  async #show(): Promise<void> {
    this.#times.show();
    try {
      this.#findings = await gatherFindings(this.#lab);
    } catch {
      // The worker was lost meanwhile: its successor is asked when the page next uses it.
      return;
    }
    if (this.#lab.signal.aborted) return;
    this.#engine.show(this.#findings);
    this.#memory.show(this.#findings);
    await Promise.all([this.#storage.show(this.#findings), this.#offline.show(this.#findings)]);
  }

  /** What the report holds. */
  #collect(): unknown {
    const { diagnosis, device, adapter, memory, heap, weights, page, model } = this.#findings ?? {};
    return {
      made: new Date().toISOString(),
      browser: { userAgent: navigator.userAgent, language: lang(), cores: navigator.hardwareConcurrency, secureContext: isSecureContext, online: navigator.onLine },
      page,
      model: model && { title: model.title, manifestSha256: model.manifestSha256, imageSize: model.manifest.imageSize },
      diagnosis,
      engine: device,
      adapter,
      memory: { engineBytes: memory ?? null, javascriptBytes: heap ?? null, weightsBytesEstimated: weights ?? null },
      offline: { state: offline.state, picturesToo: this.#offline.ready, updateReady: offline.updated },
      storage: this.#storage.kept,
      runs: this.#lab.client.journal.entries,
      benchmark: this.#bench.measured,
    };
  }
}
