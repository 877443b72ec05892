/** The bar, the words, the time and the stop button of one long task. */

import { bytes, duration, number, timeLeft } from "../format.ts";
import type { Progress, StepReport } from "../protocol.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";

export class Task {
  readonly #bar = h("progress", { max: 1, "aria-label": words().shell.task.bar });
  readonly #words = h("span", { class: "words" });
  readonly #time = h("span", { class: "time" });
  readonly #stop = h("button", { type: "button", class: "stop" }, words().shell.task.stop);
  readonly element = h("div", { class: "task", hidden: true }, this.#words, this.#time, this.#bar, this.#stop);
  readonly #say: (words: string) => void;
  readonly #home: HTMLElement;
  #abort: AbortController | null = null;
  #began = 0;
  /** When the present phase began: time left is reckoned within it. */
  #phaseBegan = 0;
  #phase = "";
  #timer: ReturnType<typeof setInterval> | undefined;
  #left = "";

  /**
   * `say` is the status line that screen readers follow: told of phases and quarters, not of every step. `home` gets the
   * focus back when the stop button vanishes under it.
   */
  constructor(say: (words: string) => void, home: HTMLElement) {
    this.#say = say;
    this.#home = home;
    this.#stop.addEventListener("click", () => {
      this.#abort?.abort();
      this.#words.textContent = this.#phase === "steps" ? words().shell.task.stoppingAfterStep : words().shell.task.stopping;
      // Not `disabled`, which would take the focus away and put it nowhere.
      this.#stop.setAttribute("aria-disabled", "true");
    });
  }

  begin(words: string): AbortSignal {
    this.#abort = new AbortController();
    this.#began = performance.now();
    this.#stop.removeAttribute("aria-disabled");
    this.#left = "";
    this.#enter("begin", words);
    this.element.hidden = false;
    this.#timer = setInterval(() => this.#tick(), 100);
    this.#tick();
    return this.#abort.signal;
  }

  focus(): void {
    this.#stop.focus();
  }

  /** Ends the display and tells how long the task took, in milliseconds. */
  end(): number {
    clearInterval(this.#timer);
    const focused = this.element.contains(document.activeElement);
    this.element.hidden = true;
    if (focused) this.#home.focus();
    this.#abort = null;
    return performance.now() - this.#began;
  }

  progress(progress: Progress): void {
    if (this.#abort?.signal.aborted) return;
    const { waiting, download, downloaded, load, compute, resume } = words().shell.task;
    switch (progress.phase) {
      case "waiting":
        return this.#enter("waiting", waiting);
      case "download": {
        const { loaded, total } = progress;
        this.#enter("download", download);
        this.#words.textContent = downloaded(bytes(loaded), bytes(total));
        return this.#advance(loaded, total);
      }
      case "load":
        return this.#enter("load", load);
      case "compute":
        return this.#enter("compute", compute);
      case "resume":
        return this.#enter("resume", resume(number(progress.taken)));
    }
  }

  step({ index, of }: StepReport): void {
    if (this.#abort?.signal.aborted) return;
    const { firstStep, step } = words().shell.task;
    const where = step(number(index), number(of));
    // The first step of a WebGPU run compiles its programs: it says nothing about the time of the others.
    if (index === 1) this.#enter("steps", firstStep);
    this.#words.textContent = where;
    const quarter = Math.max(1, Math.round(of / 4));
    if (index % quarter === 0 && index < of) this.#say(where);
    this.#advance(index, of, 1);
  }

  /** A task of the page's own, of which `done` of `total` parts are done. */
  part(words: string, done: number, total: number): void {
    if (this.#abort?.signal.aborted) return;
    this.#words.textContent = words;
    this.#advance(done, total);
  }

  #enter(phase: string, words: string): void {
    if (this.#phase === phase && phase !== "begin") return;
    this.#phase = phase;
    this.#phaseBegan = performance.now();
    this.#words.textContent = words;
    this.#say(words);
    this.#left = "";
    this.#bar.removeAttribute("value");
  }

  /** `from`: what was done when the phase began. */
  #advance(done: number, total: number, from = 0): void {
    this.#bar.max = total;
    this.#bar.value = done;
    this.#left = timeLeft(done - from, total - from, performance.now() - this.#phaseBegan);
  }

  #tick(): void {
    const elapsed = duration(Math.max(100, performance.now() - this.#began));
    this.#time.textContent = [elapsed, this.#left].filter(Boolean).join(", ");
  }
}
