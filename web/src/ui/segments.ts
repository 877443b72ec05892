/** One of a few words, chosen from a row. Radio buttons underneath, so that arrow keys and labels work by themselves. */

import "../style/segments.css";
import type { Field, Fields } from "../state/schema.ts";
import { PARTS, type PanelName, type Patch, type Settings } from "../state/state.ts";
import type { Store } from "../state/store.ts";
import { h } from "./dom.ts";

export class Segments<T extends string> {
  readonly element: HTMLFieldSetElement;
  readonly #inputs = new Map<T, HTMLInputElement>();

  /** `name` is that of the radio buttons; `legend` is read aloud, and seen if `visible`. */
  constructor(name: string, legend: string, options: Readonly<Record<T, string>>, choose: (value: T) => void, visible = true) {
    const labels = Object.entries(options).map(([value, label]) => {
      const input = h("input", { type: "radio", name, value });
      input.addEventListener("change", () => choose(value as T));
      this.#inputs.set(value as T, input);
      return h("label", {}, input, h("span", {}, label as string));
    });
    this.element = h("fieldset", { class: "segments" }, h("legend", { class: visible ? null : "visually-hidden" }, legend), h("div", { class: "segments-row" }, ...labels));
  }

  /** Shows which is chosen, without telling. */
  select(value: T): void {
    const input = this.#inputs.get(value);
    if (input) input.checked = true;
  }

  allow(value: T, allowed: boolean): void {
    this.#inputs.get(value)!.disabled = !allowed;
  }
}

/** The same, tied to the setting `name` of `part`. */
export function boundSegments<P extends PanelName, T extends string>(
  part: P,
  name: keyof Settings[P] & string,
  legend: string,
  options: Readonly<Record<T, string>>,
  store: Store,
  signal: AbortSignal,
  visible = true,
): Segments<T> {
  const field = (PARTS[part] as Fields)[name] as Field<T>;
  const segments = new Segments<T>(`${part}-${name}`, legend, options, (value) => store.set({ [part]: { [name]: value } } as Patch), visible);
  const show = () => {
    const value = field.parse(String((store.get()[part] as Record<string, unknown>)[name]));
    if (value !== undefined) segments.select(value);
  };
  store.subscribe(show, signal);
  show();
  return segments;
}
