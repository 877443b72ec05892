/** A class chosen from a list that takes little room, with its picture; tied to a setting that is empty for the usual class. */

import type { ModelClass } from "../protocol.ts";
import type { Fields } from "../state/schema.ts";
import { PARTS, type PanelName, type Patch } from "../state/state.ts";
import type { Store } from "../state/store.ts";
import { words } from "../words/index.ts";
import { PageError } from "../words/told.ts";
import { h } from "./dom.ts";

export interface ClassSelectOptions {
  part: PanelName;
  name: string;
  /** Of the list, in the page; the same setting may be shown in several places. */
  id: string;
  classes: readonly ModelClass[];
  /** What an empty setting means: a class, or a word for none. */
  usual: ModelClass | string;
  store: Store;
  signal: AbortSignal;
  /** Hears of a class that the model does not have. */
  refuse: (error: PageError) => void;
}

export class ClassSelect {
  readonly element: HTMLElement;
  readonly #options: ClassSelectOptions;
  readonly #select: HTMLSelectElement;
  readonly #image = h("img", { alt: "", width: 40, height: 40, decoding: "async" });

  constructor(options: ClassSelectOptions) {
    this.#options = options;
    const { id, classes, usual, store, signal } = options;
    const { group, label } = words().generate;
    const groups = new Map<string, ModelClass[]>();
    for (const entry of classes) groups.set(entry.group, [...(groups.get(entry.group) ?? []), entry]);
    const option = ({ name, label: name2 }: ModelClass) => h("option", { value: name }, label(name2));
    this.#select = h(
      "select",
      { id },
      ...(typeof usual === "string" ? [h("option", { value: "" }, usual)] : []),
      ...[...groups].flatMap(([name, members]) => (name && groups.size > 1 ? [h("optgroup", { label: group(name) }, ...members.map(option))] : members.map(option))),
    );
    this.element = h("div", { class: "class-select" }, this.#image, this.#select);
    this.#image.addEventListener("error", () => (this.#image.hidden = true));
    this.#select.addEventListener("change", () => this.#set(this.#select.value), { signal });
    store.subscribe(() => this.#show(), signal);
    this.#show();
  }

  /** The class; null where the setting is empty and that means none. */
  get chosen(): ModelClass | null {
    const { classes, usual } = this.#options;
    const name = this.#stored();
    return classes.find((entry) => entry.name === name) ?? (typeof usual === "string" ? null : usual);
  }

  #stored(): string {
    const { part, name, store } = this.#options;
    const value = (store.get()[part] as Record<string, unknown>)[name];
    return (PARTS[part] as Fields)[name]!.print(value);
  }

  #set(value: string, undoable = true): void {
    const { part, name, store } = this.#options;
    store.set({ [part]: { [name]: value } } as Patch, { undoable });
  }

  #show(): void {
    const name = this.#stored();
    const { classes, refuse } = this.#options;
    if (name !== "" && !classes.some((entry) => entry.name === name)) {
      this.#set("", false);
      return refuse(new PageError("unknown-class", words().mix.unknownClass(name)));
    }
    const { chosen } = this;
    this.#select.value = chosen?.name ?? "";
    this.#image.hidden = !chosen?.thumbnail;
    const address = chosen?.thumbnail;
    if (address && this.#image.src !== address) this.#image.src = address;
  }
}
