/** A picture of one's own, and what is left of it after the tokenizer. */

import "../../style/reconstruct.css";
import { asMaetokError } from "../../errors.ts";
import { number } from "../../format.ts";
import type { Picture } from "../../protocol.ts";
import { h, save } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab, Panel } from "../panel.ts";
import { explainReconstruct } from "./explain.ts";
import { Result } from "./result.ts";

/** Larger files are refused before they are read into memory. */
const LARGEST = 64 * 2 ** 20;

/** A second picture while the first is under way. */
const BUSY = "busy";

export function create(lab: Lab): Panel {
  return new Reconstruct(lab);
}

class Reconstruct implements Panel {
  readonly #lab: Lab;
  readonly #input = h("input", { type: "file", id: "picture", accept: "image/png,image/jpeg,image/webp,image/gif", class: "visually-hidden" });
  readonly #notice = new Notice(this.#input);
  readonly #task: Task;
  readonly #result: Result;
  readonly element: HTMLElement;
  #name = words().reconstruct.fileName;
  #running = false;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#task = new Task(lab.say, this.#input);
    this.#result = new Result((picture, suffix) => void this.#save(picture, suffix));
    const text = words().reconstruct;
    const { imageSize, classes } = lab.model;
    const groups = [...new Set(classes.map((entry) => entry.group).filter(Boolean))].map(words().generate.group);
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "reconstruct-title" },
      h("h2", { id: "reconstruct-title" }, text.title),
      h("p", { class: "lead" }, text.lead(number(imageSize), groups)),
      this.#notice.element,
      h(
        "div",
        { class: "reconstruct" },
        h("div", { class: "drop" }, this.#input, h("label", { for: "picture", class: "button" }, text.choose), h("p", { class: "hint" }, text.orDrop)),
        this.#task.element,
        this.#result.element,
      ),
      explainReconstruct(),
    );
    this.#input.addEventListener("change", () => {
      const file = this.#input.files?.[0];
      if (file) this.take(file);
      // Choosing the same file again is a change again.
      this.#input.value = "";
    });
  }

  /** Begins with a picture, wherever it came from. */
  take(file: File): boolean {
    this.element.scrollIntoView({ block: "nearest" });
    const { busy, busyAdvice } = words().reconstruct;
    if (this.#running) this.#notice.show(new PageError(BUSY, busy(file.name), busyAdvice));
    else void this.#run(file);
    return true;
  }

  async #run(file: File): Promise<void> {
    const text = words().reconstruct;
    this.#running = true;
    this.#notice.clear();
    this.element.classList.add("running");
    const signal = this.#task.begin(text.reading);
    try {
      if (file.size > LARGEST) {
        throw new PageError("picture", text.tooLarge(number(file.size / 2 ** 20), number(LARGEST / 2 ** 20)), text.tooLargeAdvice);
      }
      const bytes = await file.arrayBuffer().catch(() => {
        throw new PageError("picture", text.unreadable(file.name), text.unreadableAdvice);
      });
      const result = await this.#lab.client.reconstruct(this.#lab.manifest, bytes, signal, { onProgress: (progress) => this.#task.progress(progress) });
      this.#task.end();
      this.#name = file.name.replace(/\.[^.]*$/, "") || text.fileName;
      this.#lab.say(this.#result.show(result));
    } catch (thrown) {
      this.#task.end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#lab.say(words().shell.stopped);
      // A bad picture stays bad: trying again helps with everything else.
      else this.#notice.show(error, error.code === "picture" ? undefined : () => this.take(file));
    } finally {
      this.#running = false;
      if (this.#notice.code === BUSY) this.#notice.clear();
      this.element.classList.remove("running");
    }
  }

  async #save(picture: Picture, suffix: string): Promise<void> {
    try {
      save(await this.#lab.client.png(picture), `${this.#name}-${suffix}.png`);
      this.#lab.say(words().shell.saved);
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
