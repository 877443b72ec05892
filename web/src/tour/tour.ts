/**
 * The guided tour: a small window that stands beside the page, not over it. It shows a panel, rings the control it speaks
 * of, and lets people use it; nothing is locked, nothing happens by itself.
 *
 * Keys: arrows go from stop to stop while the focus is in the window, F6 goes to the control and back, Escape ends it.
 */

import "../style/tour.css";
import type { PanelName } from "../state/state.ts";
import { h } from "../ui/dom.ts";
import { words } from "../words/index.ts";
import { type Stop, stopsFor, targetsOf } from "./stops.ts";

const FOCUSABLE = "button, input, select, a[href], canvas[tabindex], summary, [tabindex='0']";

export interface Way {
  panels: readonly PanelName[];
  show: (panel: PanelName) => void;
  say: (text: string) => void;
  /** Told when it ends, however it ends. */
  ended: () => void;
  /** Gets the focus back. */
  home: HTMLElement;
}

export class Tour {
  readonly #way: Way;
  readonly #stops: Stop[];
  readonly #title = h("h2", { id: "tour-title", tabindex: -1 });
  readonly #text = h("p", {});
  readonly #task = h("p", { class: "tour-task" });
  readonly #place = h("p", { class: "tour-place" });
  readonly #dots = h("div", { class: "tour-dots", "aria-hidden": "true" });
  readonly #back = h("button", { type: "button", class: "quiet" }, words().tour.back);
  readonly #next = h("button", { type: "button" });
  readonly #window: HTMLDialogElement;
  readonly #ending = new AbortController();
  #at = 0;
  #ringed: HTMLElement[] = [];
  /** What is to come into view once it is there. */
  #awaited = true;

  constructor(way: Way, signal: AbortSignal) {
    this.#way = way;
    this.#stops = stopsFor(way.panels);
    const text = words().tour;
    const go = h("button", { type: "button", class: "quiet", onclick: () => this.#goThere() }, text.goThere);
    const close = h("button", { type: "button", class: "quiet icon", title: text.end, "aria-label": text.end, onclick: () => this.end() }, "×");
    this.#window = h(
      "dialog",
      { class: "tour", "aria-labelledby": "tour-title", "aria-describedby": "tour-text" },
      h("div", { class: "tour-head" }, this.#place, this.#dots, close),
      h("div", { id: "tour-text", "aria-live": "polite" }, this.#title, this.#text, this.#task),
      h("div", { class: "buttons" }, this.#back, go, this.#next),
      h("p", { class: "hint tour-keys" }, text.keys),
    );
    this.#dots.append(...this.#stops.map(() => h("span", {})));
    this.#back.addEventListener("click", () => this.#turn(this.#at - 1));
    this.#next.addEventListener("click", () => (this.#at === this.#stops.length - 1 ? this.end() : this.#turn(this.#at + 1)));
    this.#window.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const to = { ArrowRight: this.#at + 1, ArrowLeft: this.#at - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.#turn(to);
    });
    const ending = this.#ending.signal;
    document.addEventListener(
      "keydown",
      (event) => {
        // A control that has its own use for the key says so.
        if (event.defaultPrevented) return;
        if (event.key === "Escape") this.end();
        else if (event.key === "F6" && !event.shiftKey) {
          event.preventDefault();
          if (this.#window.contains(document.activeElement)) this.#goThere();
          else this.#title.focus();
        }
      },
      { signal: ending },
    );
    // Controls come and go: a panel on its way, a picture that has been chosen.
    const observer = new MutationObserver(() => this.#look());
    ending.addEventListener("abort", () => observer.disconnect());
    signal.addEventListener("abort", () => this.end(), { signal: ending });
    document.body.append(this.#window);
    this.#window.show();
    this.#turn(0);
    this.#title.focus();
    observer.observe(document.querySelector("main") ?? document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"] });
  }

  /** Back to where it began. */
  focus(): void {
    this.#title.focus();
  }

  end(): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    this.#ring([]);
    const focused = this.#window.contains(document.activeElement);
    this.#window.close();
    this.#window.remove();
    // Whoever is at a control meanwhile stays there.
    if (focused || document.activeElement === document.body) this.#way.home.focus();
    this.#way.ended();
  }

  #turn(to: number): void {
    const stop = this.#stops[to];
    if (!stop) return;
    this.#at = to;
    const text = words().tour;
    const { title, text: said, task } = text.stops[stop.name];
    const last = to === this.#stops.length - 1;
    this.#place.textContent = text.place(to + 1, this.#stops.length);
    this.#title.textContent = title;
    this.#text.textContent = said;
    this.#task.textContent = task;
    this.#next.textContent = last ? text.done : text.next;
    // The first stop has none before it; the focus is not left on what vanishes.
    if (to === 0 && document.activeElement === this.#back) this.#next.focus();
    this.#back.hidden = to === 0;
    [...this.#dots.children].forEach((dot, i) => dot.classList.toggle("passed", i <= to));
    this.#awaited = true;
    this.#way.show(stop.panel);
    this.#look();
  }

  /** Rings what the stop speaks of, and has it in view when the stop begins. */
  #look(): void {
    const targets = targetsOf(this.#stops[this.#at]!);
    const same = targets.length === this.#ringed.length && targets.every((target, i) => target === this.#ringed[i]);
    if (!same) this.#ring(targets);
    const [first] = targets;
    if (!first || !this.#awaited) return;
    // A heading stands in for controls on their way.
    if (!first.matches("h2")) this.#awaited = false;
    const { left, right } = first.getBoundingClientRect();
    this.#window.classList.toggle("aside", (left + right) / 2 > innerWidth / 2);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    first.scrollIntoView({ block: "start", behavior: calm ? "instant" : "smooth" });
  }

  #ring(targets: HTMLElement[]): void {
    for (const element of this.#ringed) element.classList.remove("tour-target");
    for (const element of targets) element.classList.add("tour-target");
    this.#ringed = targets;
  }

  /** The focus to the control that is ringed. */
  #goThere(): void {
    const [first] = this.#ringed;
    if (!first) return;
    const control = first.matches(FOCUSABLE) ? first : [...first.querySelectorAll<HTMLElement>(FOCUSABLE)].find((element) => element.checkVisibility());
    control?.focus();
  }
}
