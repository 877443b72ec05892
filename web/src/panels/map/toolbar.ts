/** Which components are the axes, and which pictures are on the map. */

import { number } from "../../format.ts";
import type { Store } from "../../state/store.ts";
import { bind } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";

/** The whole map, as seen after a change of axes: the old place means nothing on the new ones. */
const WHOLE = { zoom: 1, x: 0, y: 0 };

export class Toolbar {
  readonly element: HTMLElement;
  readonly #shares: readonly number[];
  readonly #store: Store;
  readonly #across: HTMLSelectElement;
  readonly #up: HTMLSelectElement;
  readonly #sum = h("p", { class: "hint map-shares" });

  constructor(shares: readonly number[], store: Store, signal: AbortSignal) {
    this.#shares = shares;
    this.#store = store;
    const text = words().map;
    const axis = (id: string) => h("select", { id }, ...shares.map((share, i) => h("option", { value: i + 1 }, text.axisShare(number(i + 1), number(100 * share, 1)))));
    this.#across = axis("map-across");
    this.#up = axis("map-up");
    const pictures = h("select", { id: "map-pictures" }, ...(["all", "training", "held-out"] as const).map((value) => h("option", { value }, text.sets[value])));
    const setting = (name: string, control: HTMLElement) => h("div", { class: "setting" }, h("label", { for: control.id }, name), control);
    this.element = h("div", { class: "map-toolbar" }, setting(text.across, this.#across), setting(text.up, this.#up), setting(text.show, pictures), this.#sum);
    bind(pictures, "map", "pictures", store, signal);
    this.#across.addEventListener("change", () => this.#choose(Number(this.#across.value), this.axes.up + 1));
    this.#up.addEventListener("change", () => this.#choose(this.axes.across + 1, Number(this.#up.value)));
    store.subscribe(() => this.#show(), signal);
    this.#show();
  }

  /** Counted from 0, and two different ones whatever a link says. */
  get axes(): { across: number; up: number } {
    const last = this.#shares.length - 1;
    const { across, up } = this.#store.get().map;
    const first = Math.min(across - 1, last);
    const second = Math.min(up - 1, last);
    return { across: first, up: second !== first ? second : first === 0 ? Math.min(1, last) : 0 };
  }

  /** Whoever asks for the same axis twice gets the two exchanged. */
  #choose(across: number, up: number): void {
    const { axes } = this;
    const same = across === up;
    const changed = across !== axes.across + 1;
    this.#store.set({ map: { across: same && !changed ? axes.up + 1 : across, up: same && changed ? axes.across + 1 : up, ...WHOLE } });
  }

  #show(): void {
    const { across, up } = this.axes;
    this.#across.value = String(across + 1);
    this.#up.value = String(up + 1);
    this.#sum.textContent = words().map.shares(number(100 * ((this.#shares[across] ?? 0) + (across === up ? 0 : (this.#shares[up] ?? 0))), 1));
  }
}
