/**
 * A row of numbered cells that are on or off, each shaded by a value of its own. Check boxes underneath; one stop of the Tab
 * key, arrow keys within, Space turns a cell. A pointer that is drawn over cells turns all of them the same way.
 */

import { h } from "./dom.ts";

/** Shades there are; see `style/mix.css`. */
const SHADES = 5;

export class Toggles {
  readonly element: HTMLElement;
  readonly #row = h("div", { class: "cells" });
  readonly #label: (index: string) => string;
  readonly #choose: (chosen: number[]) => void;
  #boxes: HTMLInputElement[] = [];
  /** What the pointer that is down makes of the cells it passes. */
  #painting: boolean | null = null;

  constructor(legend: string, label: (index: string) => string, choose: (chosen: number[]) => void) {
    this.#label = label;
    this.#choose = choose;
    this.element = h("fieldset", { class: "toggles" }, h("legend", {}, legend), this.#row);
    this.#row.addEventListener("change", () => this.#tell());
    this.#row.addEventListener("keydown", (event) => this.#key(event));
    this.#row.addEventListener("pointerdown", (event) => this.#press(event));
    this.#row.addEventListener("pointermove", (event) => this.#pass(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"] as const) this.#row.addEventListener(type, () => (this.#painting = null));
    // The press has turned the cell already.
    this.#row.addEventListener("click", (event) => {
      if (event.detail > 0 && event.target instanceof Element && event.target.closest("label")) event.preventDefault();
    });
  }

  /** Lays out `count` cells; `values` shade them, and `say` puts a value into words. */
  set(count: number, values: readonly number[], say: (value: number) => string): void {
    const most = Math.max(...values, 1e-9);
    this.#boxes = Array.from({ length: count }, (_, i) => h("input", { type: "checkbox", tabindex: i === 0 ? 0 : -1, "aria-label": `${this.#label(String(i + 1))}, ${say(values[i]!)}` }));
    this.#row.replaceChildren(
      ...this.#boxes.map((box, i) =>
        h("label", { class: "cell", title: `${this.#label(String(i + 1))}: ${say(values[i]!)}`, "data-shade": Math.min(SHADES - 1, Math.floor((values[i]! / most) * SHADES)), "data-index": i }, box, h("span", { "aria-hidden": "true" }, String(i + 1))),
      ),
    );
  }

  /** Shows which are on, without telling. */
  select(chosen: readonly number[]): void {
    const on = new Set(chosen);
    this.#boxes.forEach((box, i) => (box.checked = on.has(i)));
  }

  /** Turns every cell as `on` says. */
  change(on: (index: number, chosen: boolean) => boolean): void {
    this.#boxes.forEach((box, i) => (box.checked = on(i, box.checked)));
    this.#tell();
  }

  #tell(): void {
    this.#choose(this.#boxes.flatMap((box, i) => (box.checked ? [i] : [])));
  }

  #key(event: KeyboardEvent): void {
    const at = this.#boxes.indexOf(event.target as HTMLInputElement);
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const last = this.#boxes.length - 1;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#focus(Math.min(Math.max(to, 0), last));
  }

  #focus(index: number): void {
    this.#boxes.forEach((box, i) => (box.tabIndex = i === index ? 0 : -1));
    this.#boxes[index]!.focus();
  }

  #press(event: PointerEvent): void {
    const index = this.#at(event);
    if (index === null || event.button !== 0) return;
    event.preventDefault();
    this.#focus(index);
    this.#painting = !this.#boxes[index]!.checked;
    // A finger that is drawn over the row would otherwise stay with the cell it began on.
    this.#row.setPointerCapture(event.pointerId);
    this.#paint(index);
  }

  #pass(event: PointerEvent): void {
    const index = this.#at(event);
    if (this.#painting !== null && index !== null) this.#paint(index);
  }

  #paint(index: number): void {
    const box = this.#boxes[index]!;
    if (this.#painting === null || box.checked === this.#painting) return;
    box.checked = this.#painting;
    this.#tell();
  }

  #at({ clientX, clientY }: PointerEvent): number | null {
    const cell = document.elementFromPoint(clientX, clientY)?.closest<HTMLElement>(".cell");
    return cell && this.#row.contains(cell) ? Number(cell.dataset.index) : null;
  }
}
