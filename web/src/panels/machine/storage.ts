/** What is kept in the browser: how large, whether it stays, and a button to delete each of it or all. */

import { bytes } from "../../format.ts";
import { offline } from "../../offline/offline.ts";
import { inventory, type Item } from "../../offline/inventory.ts";
import { h } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { part } from "./facts.ts";
import type { Findings } from "./findings.ts";

/** For the report. */
export interface Kept {
  /** Null: the browser refuses. */
  items: { kind: string; name: string; bytes: number }[] | null;
  usage: number | null;
  quota: number | null;
  persisted: boolean | null;
}

export class StoragePart {
  readonly #lab: Lab;
  readonly #usage = h("p", { class: "hint" });
  readonly #state = h("p", {});
  readonly #list = h("ul", { class: "kept" });
  readonly #all = h("button", { type: "button", class: "quiet", hidden: true }, words().offline.storage.removeAll);
  readonly #persist = h("button", { type: "button", class: "quiet", hidden: true }, words().offline.storage.persist);
  readonly #promise = h("p", { class: "hint" });
  readonly #notice = new Notice(this.#all);
  readonly element: HTMLElement;
  kept: Kept = { items: null, usage: null, quota: null, persisted: null };
  #items: Item[] = [];
  /** Files the model at hand needs, by what is known last. */
  #findings: Findings | null = null;
  /** Somebody has deleted something here: then it is no wonder that it is missing. */
  #deleted = false;
  /** The last question counts: answers may overtake each other. */
  #asked = 0;

  constructor(lab: Lab) {
    this.#lab = lab;
    const text = words().offline.storage;
    this.element = part("storage", text.title, h("p", { class: "hint" }, text.lead), this.#notice.element, this.#state, this.#list, this.#usage, this.#promise, h("div", { class: "buttons" }, this.#all, this.#persist));
    this.#all.addEventListener("click", () => void this.#remove(this.#items));
    this.#persist.addEventListener("click", () => void this.#askToPersist());
  }

  async show(findings: Findings): Promise<void> {
    this.#findings = findings;
    const asked = ++this.#asked;
    const needed = findings.model?.manifest.needed ?? [];
    const [items, estimate, persisted] = await Promise.all([
      globalThis.caches ? inventory(caches, needed).catch(() => null) : null,
      navigator.storage?.estimate?.().catch(() => null) ?? null,
      navigator.storage?.persisted?.().catch(() => null) ?? null,
    ]);
    if (asked !== this.#asked) return;
    const { usage = null, quota = null } = estimate ?? {};
    this.kept = { items: items?.map(({ kind, name, bytes }) => ({ kind, name, bytes })) ?? null, usage, quota, persisted };
    this.#items = items ?? [];
    const text = words().offline.storage;
    const missing = needed.filter(({ path }) => !items?.some(({ kind, name }) => kind === "weights" && name === path)).reduce((sum, { size }) => sum + size, 0);
    const room = usage !== null && quota !== null ? Math.max(0, quota - usage) : Infinity;
    // Browsers round what room they tell of, and some make it up: what was loaded and is not kept says more.
    const loaded = !this.#deleted && this.#lab.client.journal.entries.some(({ outcome }) => outcome === "done");
    this.#state.textContent =
      items === null ? `${text.refused} ${text.refusedAdvice}` : missing > room || (loaded && missing > 0) ? text.full(bytes(missing)) : items.length === 0 ? text.nothing : "";
    this.#usage.textContent = usage !== null && quota !== null && items !== null ? text.usage(bytes(usage), bytes(quota)) : "";
    this.#promise.textContent = items === null || persisted === null ? "" : persisted ? text.persisted : text.notPersisted;
    this.#persist.hidden = items === null || persisted !== false;
    const focused = this.element.contains(document.activeElement);
    this.#all.hidden = this.#items.length === 0;
    this.#list.hidden = this.#items.length === 0;
    this.#list.replaceChildren(...this.#items.map((item) => this.#row(item)));
    // What had the focus is gone with its row.
    if (focused && !this.element.contains(document.activeElement)) this.#home().focus();
  }

  #row(item: Item): HTMLElement {
    const text = words().offline.storage;
    const title = text.kinds[item.kind];
    const about = {
      weights: () => item.name || text.unknownFile,
      app: () => [item.name === offline.build ? text.current : `${text.earlier} (${item.name})`, item.engine ? text.withEngine : ""].filter(Boolean).join(", "),
      model: () => "",
      "self-test": () => item.name,
    }[item.kind]();
    const remove = h("button", { type: "button", class: "quiet", "aria-label": text.removeNamed([title, about].filter(Boolean).join(", ")) }, text.remove);
    remove.addEventListener("click", () => void this.#remove([item]));
    return h("li", {}, h("span", { class: "what" }, title, about ? h("span", { class: "hint" }, about) : null), h("span", { class: "size" }, bytes(item.bytes)), remove);
  }

  async #remove(items: readonly Item[]): Promise<void> {
    const text = words().offline.storage;
    this.#notice.clear();
    this.#deleted = true;
    try {
      await Promise.all(items.map((item) => item.remove()));
      this.#lab.say(text.removed(bytes(items.reduce((sum, one) => sum + one.bytes, 0))));
    } catch {
      this.#notice.show(new PageError("io", text.failed, text.failedAdvice));
    }
    // What others say of what is kept is no longer true.
    offline.dispatchEvent(new Event("change"));
    if (this.#findings) await this.show(this.#findings);
  }

  async #askToPersist(): Promise<void> {
    const text = words().offline.storage;
    const granted = (await navigator.storage.persist().catch(() => false)) === true;
    if (this.#findings) await this.show(this.#findings);
    const said = granted ? text.persistGranted : text.persistRefused;
    this.#promise.textContent = said;
    this.#lab.say(said);
  }

  #home(): HTMLElement {
    if (!this.#all.hidden) return this.#all;
    if (!this.#persist.hidden) return this.#persist;
    // Nothing is left to press: the part itself.
    this.element.tabIndex = -1;
    return this.element;
  }
}
