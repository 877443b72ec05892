/** The page without a network: how far it has come, what is missing for pictures, a button to fetch that, and to install. */

import { WASM_BYTES } from "../../engine.ts";
import { asMaetokError } from "../../errors.ts";
import { bytes } from "../../format.ts";
import type { FileEntry } from "../../manifest.ts";
import { inventory } from "../../offline/inventory.ts";
import { offline } from "../../offline/offline.ts";
import { h } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { Task } from "../../ui/task.ts";
import { browserSource, fetchFile } from "../../weights.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { part } from "./facts.ts";
import type { Findings } from "./findings.ts";

/** What is not kept yet and is needed for pictures. */
interface Missing {
  files: FileEntry[];
  /** The page itself, or what shows the model. */
  page: boolean;
  engine: boolean;
  bytes: number;
}

export class OfflinePart {
  readonly #lab: Lab;
  readonly #changed: () => void;
  readonly #state = h("p", {});
  readonly #pictures = h("p", { class: "hint" });
  readonly #get = h("button", { type: "button", hidden: true }, words().offline.get);
  readonly #install = h("button", { type: "button", class: "quiet", hidden: true }, words().offline.installApp);
  readonly #look = h("button", { type: "button", class: "quiet", hidden: true }, words().offline.look);
  readonly #installHint = h("p", { class: "hint", hidden: true }, words().offline.installHint);
  readonly #notice = new Notice(this.#look);
  readonly #task: Task;
  readonly element: HTMLElement;
  /** Whether pictures can be made without a network. */
  ready = false;
  #needed: readonly FileEntry[] = [];
  #running = false;
  #asked = 0;

  /** `changed`: something has been kept. */
  constructor(lab: Lab, changed: () => void) {
    this.#lab = lab;
    this.#changed = changed;
    this.#task = new Task(lab.say, this.#look);
    this.element = part("offline", words().offline.title, this.#notice.element, this.#state, this.#pictures, this.#task.element, h("div", { class: "buttons" }, this.#get, this.#install, this.#look), this.#installHint);
    this.#get.addEventListener("click", () => void this.#keepAll());
    this.#install.addEventListener("click", () => void offline.install());
    this.#look.addEventListener("click", () => void this.#lookForUpdate());
  }

  async show({ model }: Pick<Findings, "model">): Promise<void> {
    this.#needed = model?.manifest.needed ?? [];
    await this.#tell();
  }

  async #tell(): Promise<Missing> {
    const asked = ++this.#asked;
    const text = words().offline;
    const missing = await this.#missing();
    if (asked !== this.#asked) return missing;
    const kept = offline.state === "kept";
    const all = missing.bytes === 0 && !missing.page && this.#needed.length > 0;
    this.ready = kept && all;
    // A page of an earlier version than the service worker's has its files still, or else says so when it needs one.
    this.#state.textContent = kept && missing.page && !offline.updated ? text.states.deleted : text.states[offline.state];
    this.#pictures.textContent = !kept || this.#needed.length === 0 ? "" : all ? text.ready : missing.bytes > 0 ? text.missing(bytes(missing.bytes)) : "";
    this.#get.hidden = this.#running || !kept || (missing.bytes === 0 && !missing.page);
    this.#look.hidden = !kept;
    this.#install.hidden = offline.offer === null;
    this.#installHint.hidden = !kept || matchMedia("(display-mode: standalone)").matches;
    return missing;
  }

  async #missing(): Promise<Missing> {
    const items = globalThis.caches ? await inventory(caches, this.#needed).catch(() => []) : [];
    const files = this.#needed.filter(({ path }) => !items.some(({ kind, name }) => kind === "weights" && name === path));
    const page = items.find(({ kind, name }) => kind === "app" && name === offline.build);
    const engine = !page?.engine;
    return { files, page: page === undefined || !items.some(({ kind }) => kind === "model"), engine, bytes: files.reduce((sum, { size }) => sum + size, engine ? WASM_BYTES : 0) };
  }

  async #keepAll(): Promise<void> {
    const text = words().offline;
    this.#notice.clear();
    this.#running = true;
    const signal = this.#task.begin(text.getting);
    this.#task.focus();
    this.#get.hidden = true;
    try {
      const { files, engine, page, bytes: total } = await this.#missing();
      let loaded = 0;
      const arrived = (count: number) => {
        loaded += count;
        this.#task.progress({ phase: "download", loaded: Math.min(loaded, total), total });
      };
      arrived(0);
      const source = await browserSource();
      await Promise.all([
        ...files.map((file) => fetchFile(file, this.#lab.manifest, source, signal, arrived)),
        page && offline.keepModel(this.#lab.manifest, this.#lab.model.classes.flatMap(({ thumbnail }) => thumbnail ?? [])),
        (engine || page) && offline.keepEngine().then((kept) => kept && arrived(WASM_BYTES)),
      ]);
      this.#running = false;
      const left = await this.#tell();
      this.#task.end();
      if (left.bytes === 0 && !left.page) this.#lab.say(text.got);
      else this.#notice.show(new PageError("io", text.notKept, text.notKeptAdvice), () => void this.#keepAll());
    } catch (thrown) {
      this.#running = false;
      await this.#tell();
      this.#task.end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#lab.say(words().shell.stopped);
      else this.#notice.show(error, () => void this.#keepAll());
    }
    this.#changed();
  }

  async #lookForUpdate(): Promise<void> {
    await offline.look();
    if (!offline.updated) this.#lab.say((this.#state.textContent = words().offline.looked));
  }
}
