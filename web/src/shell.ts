/** The tabs and what they show: loads a panel when it is first wanted, and hands files to the one they are for. */

import type { Client } from "./client.ts";
import { type PanelEntry, PANELS } from "./panels/index.ts";
import type { Lab, Panel } from "./panels/panel.ts";
import type { ModelSummary } from "./protocol.ts";
import { readSettings } from "./share/reading.ts";
import type { Recipe } from "./share/recipe.ts";
import { bindAddress } from "./state/link.ts";
import type { PanelName } from "./state/state.ts";
import { Store } from "./state/store.ts";
import { h } from "./ui/dom.ts";
import type { Notice } from "./ui/notice.ts";
import { Tabs } from "./ui/tabs.ts";
import { undoButtons } from "./ui/undo.ts";
import { words } from "./words/index.ts";
import { PageError } from "./words/told.ts";

/** Where a file goes that the panel in view does not want. */
const FILES_GO_TO: PanelName = "reconstruct";

/** As many names of settings as a sentence bears. */
const MOST_NAMES = 4;

export interface Surroundings {
  client: Client;
  manifest: string;
  notice: Notice;
  say: (text: string) => void;
  signal: AbortSignal;
}

/** A tab's place on the page; its panel once it has been loaded. */
interface Place {
  entry: PanelEntry;
  element: HTMLElement;
  panel: Panel | null;
  loading: Promise<Panel | null> | null;
}

export class Shell {
  readonly store = new Store();
  readonly element: HTMLElement;
  readonly #outside: Surroundings;
  readonly #places = new Map<PanelName, Place>();
  readonly #tabs: Tabs<PanelName>;
  /** There once the model's table of contents is. */
  #lab: Lab | null = null;
  #shown: PanelName | null = null;
  /** The panel that has been told so. */
  #visible: Panel | null = null;

  constructor(outside: Surroundings) {
    this.#outside = outside;
    for (const entry of PANELS) this.#places.set(entry.name, { entry, element: h("div", { class: "panel" }, skeleton()), panel: null, loading: null });
    const tabs = [...this.#places].map(([name, { entry, element }]) => ({ name, title: entry.title(), panel: element }));
    this.#tabs = new Tabs(words().shell.panels, tabs, (name) => this.show(name));
    this.element = h(
      "div",
      { class: "shell" },
      h("div", { class: "bar" }, this.#tabs.element, undoButtons(this.store, outside.signal)),
      ...tabs.map(({ panel }) => panel),
    );
    const names = PANELS.map(({ name }) => name);
    bindAddress(this.store, names, (bad) => this.#reportLink(bad), outside.signal);
    this.store.subscribe(() => void this.#turn(), outside.signal);
    void this.#turn();
  }

  /** A model can be shown, so the panels can be. */
  fill(model: ModelSummary): void {
    const { client, manifest, say, signal } = this.#outside;
    this.#lab = { client, manifest, model, store: this.store, say, signal, show: (panel) => this.show(panel), take: (file) => void this.take(file) };
    this.element.hidden = false;
    for (const [name, { entry }] of this.#places) {
      if (entry.suits?.(model) ?? true) continue;
      this.#tabs.remove(name);
      this.#places.delete(name);
    }
    this.#shown = null;
    void this.#turn();
  }

  /** There is no model: nothing but the reason is shown. */
  hide(): void {
    if (!this.#lab) this.element.hidden = true;
  }

  /** Those this model has. */
  get panels(): PanelName[] {
    return [...this.#places.keys()];
  }

  get filled(): boolean {
    return this.#lab !== null;
  }

  show(panel: PanelName): void {
    this.store.set({ panel }, { undoable: false });
  }

  /**
   * Gives a file to the panel in view, or else shows the one that takes every picture. A picture that this page has saved
   * brings its settings back instead.
   */
  async take(file: File): Promise<void> {
    const reading = await readSettings(this.#outside.client, file);
    if (reading.kind === "recipe" && this.#places.has(reading.recipe.panel)) return this.#restore(reading.recipe, file.name);
    if (reading.kind === "picture" && reading.spoilt) {
      const { spoilt, spoiltAdvice } = words().share;
      this.#outside.notice.show(new PageError("picture", spoilt(file.name), spoiltAdvice));
    }
    if (this.#places.get(this.store.get().panel)?.panel?.take?.(file)) return;
    this.show(FILES_GO_TO);
    const place = this.#places.get(FILES_GO_TO);
    const panel = place && (await this.#load(place));
    panel?.take?.(file);
  }

  /** The settings out of a picture, and the panel they are of. */
  async #restore({ model, panel, settings, bad }: Recipe, name: string): Promise<void> {
    const { restored, restoredHere, partly, partlyAdvice, otherModel, otherModelAdvice } = words().share;
    const { notice } = this.#outside;
    const state = this.store.get();
    this.store.load({ ...state, panel, [panel]: { ...state[panel], ...settings } });
    if (bad.length > 0) notice.show(new PageError("setting", partly(name, bad.slice(0, MOST_NAMES).join(", ")), partlyAdvice));
    else if (model && model !== this.#lab!.model.title) notice.show(new PageError("setting", otherModel(name, model), otherModelAdvice));
    const shown = await this.#load(this.#places.get(panel)!);
    if (shown?.tell) shown.tell(restored(name));
    else this.#outside.say(restoredHere(name));
  }

  /** Shows the panel the store names, or the first that this model has. */
  async #turn(): Promise<void> {
    const wanted = this.store.get().panel;
    const name = this.#places.has(wanted) ? wanted : this.#places.keys().next().value!;
    if (name === this.#shown) return;
    this.#shown = name;
    this.#tabs.select(name);
    this.#visible?.visible?.(false);
    this.#visible = null;
    const panel = await this.#load(this.#places.get(name)!);
    if (this.#shown !== name || !panel || panel === this.#visible) return;
    this.#visible = panel;
    panel.visible?.(true);
  }

  /** The panel of a place; null while there is no model, or if it cannot be loaded, which is said. */
  #load(place: Place): Promise<Panel | null> {
    place.loading ??= this.#make(place).then((panel) => {
      if (!panel) place.loading = null;
      return panel;
    });
    return place.loading;
  }

  async #make(place: Place): Promise<Panel | null> {
    const { notice, signal } = this.#outside;
    // Its code is fetched before there is a model: the two can be on their way together.
    const code = await place.entry.load().catch((error: unknown) => {
      const { panelFailed, panelAdvice } = words().shell;
      notice.show(new PageError("download", panelFailed, panelAdvice), () => void this.#again());
      console.warn(error);
      return null;
    });
    if (!code || !this.#lab || signal.aborted) return null;
    place.panel = code.create(this.#lab);
    place.element.replaceChildren(place.panel.element);
    return place.panel;
  }

  #again(): Promise<void> {
    this.#shown = null;
    return this.#turn();
  }

  #reportLink(bad: string[]): void {
    const names = bad.slice(0, MOST_NAMES).join(", ");
    const { linkPartly, linkAdvice } = words().shell;
    this.#outside.notice.show(new PageError("setting", linkPartly(names, bad.length - Math.min(bad.length, MOST_NAMES)), linkAdvice));
  }
}

/** Stands in for a panel on its way, as `index.html` does before there is any script. */
function skeleton(): HTMLElement {
  return h("div", { class: "card skeleton", "aria-hidden": "true" }, h("div", {}), h("div", {}), h("div", {}));
}
