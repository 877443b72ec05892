/** A button, the bar that takes its place while its work goes on, and the alert if the work fails. Newest work wins. */

import { asMaetokError, cancelled } from "../errors.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";
import { Latest } from "./latest.ts";
import { Notice } from "./notice.ts";
import { Task } from "./task.ts";

/** Does the work, and tells in a sentence what came of it. */
export type Job = (signal: AbortSignal, task: Task) => Promise<string>;

export class Work {
  readonly go: HTMLButtonElement;
  readonly notice: Notice;
  readonly element: HTMLElement;
  readonly #task: Task;
  readonly #say: (text: string) => void;
  readonly #facts = h("p", { class: "hint facts" });
  readonly #latest: Latest<Job>;
  #abort: AbortController | null = null;

  /** `start` is what the button does. */
  constructor(label: string, say: (text: string) => void, start: () => void) {
    this.#say = say;
    this.go = h("button", { type: "button", class: "primary", onclick: start }, label);
    this.notice = new Notice(this.go);
    this.#task = new Task(say, this.go);
    this.element = h("div", { class: "work" }, this.notice.element, h("div", { class: "action" }, this.go, this.#task.element), this.#facts);
    this.#latest = new Latest((job) => this.#do(job));
  }

  /** Something of the kind is under way. */
  get running(): boolean {
    return this.#abort !== null;
  }

  /** Ends what is under way and does `job`. Resolves when nothing is under way any more. */
  run(job: Job): Promise<void> {
    this.#abort?.abort();
    return this.#latest.ask(job);
  }

  /** Ends what is under way. */
  stop(): void {
    this.#latest.drop();
    this.#abort?.abort();
  }

  /** A sentence under the button, for those who look. */
  tell(text: string): void {
    this.#facts.textContent = text;
  }

  async #do(job: Job): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.notice.clear();
    const focused = document.activeElement === this.go;
    const stopped = this.#task.begin(words().shell.task.gettingReady);
    this.go.hidden = true;
    if (focused) this.#task.focus();
    let error: ReturnType<typeof cancelled> | null = null;
    let result = "";
    try {
      const signal = AbortSignal.any([abort.signal, stopped]);
      result = await job(signal, this.#task);
      // Some work ends quietly when it is stopped.
      if (signal.aborted) throw cancelled();
    } catch (thrown) {
      error = asMaetokError(thrown);
    }
    this.#abort = null;
    this.go.hidden = false;
    this.#task.end();
    if (!error) {
      this.tell(result);
      this.#say(result);
    } else if (error.code !== "cancelled") {
      this.notice.show(error, error.code === "setting" || error.code === "picture" ? undefined : () => void this.run(job));
    } else if (stopped.aborted) {
      this.tell(words().shell.stopped);
      this.#say(words().shell.stopped);
    }
  }
}
