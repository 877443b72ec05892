/** A picture of one's own, and what is left of it after the tokenizer: whole, in part hidden, or with its latent changed. */

import "../../style/reconstruct.css";
import "../../style/reconstruct_tools.css";
import { asMaetokError, type MaetokError } from "../../errors.ts";
import { number } from "../../format.ts";
import type { Picture } from "../../protocol.ts";
import { h, save } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab, Panel } from "../panel.ts";
import { Brush } from "./brush.ts";
import { Cropper } from "./cropper.ts";
import { explainReconstruct } from "./explain.ts";
import { ALL, fields } from "./fields.ts";
import { Keep, stem } from "./keep.ts";
import { Live, type Shot } from "./live.ts";
import { Pictures } from "./pictures.ts";
import { Source } from "./source.ts";
import { Tokens } from "./tokens.ts";

/** Larger files are refused before they are read into memory. */
const LARGEST = 64 * 2 ** 20;

/** A second picture while the first is under way. */
const BUSY = "busy";

/** A pass shows its bar when it takes longer than this, in milliseconds: most are over before. */
const PATIENCE = 700;

export function create(lab: Lab): Panel {
  return new Reconstruct(lab);
}

class Reconstruct implements Panel {
  readonly #lab: Lab;
  readonly #source: Source;
  readonly #notice: Notice;
  readonly #task: Task;
  /** The bar of what goes on under the pictures. */
  readonly #passing: Task;
  readonly #live: Live;
  readonly #pictures: Pictures;
  readonly #brush: Brush;
  readonly #cropper: Cropper;
  readonly #tokens: Tokens;
  readonly #keep: Keep;
  readonly #asking = h("p", { class: "asking", hidden: true }, words().reconstruct.asking);
  readonly #result: HTMLElement;
  readonly element: HTMLElement;
  #running = false;

  constructor(lab: Lab) {
    this.#lab = lab;
    const text = words().reconstruct;
    const fail = (error: MaetokError, retry?: () => void) => this.#notice.show(error, retry);
    const keep = (picture: Picture, suffix: string) => void this.#save(picture, suffix);
    this.#source = new Source(lab, { take: (file) => this.take(file), fail });
    this.#notice = new Notice(this.#source.input);
    this.#task = new Task(lab.say, this.#source.input);
    this.#passing = new Task(lab.say, this.#source.input);
    this.#brush = new Brush(lab);
    this.#cropper = new Cropper(lab);
    this.#tokens = new Tokens(lab, { save: keep, fail });
    this.#keep = new Keep(lab, () => this.#tokens.heatmap(), fail);
    this.#pictures = new Pictures(lab, this.#brush.veil, this.#passing.element, keep, () => this.#reset());
    this.#live = new Live(lab, { shown: (shot, before) => this.#show(shot, before), failed: (error) => this.#fail(error), ...this.#bar() });
    const { imageSize, classes } = lab.model;
    const groups = [...new Set(classes.map((entry) => entry.group).filter(Boolean))].map(words().generate.group);
    this.#result = h(
      "div",
      { class: "result", hidden: true },
      h("div", { class: "bench" }, this.#pictures.element, h("div", { class: "tools" }, this.#cropper.element, this.#brush.element, this.#tokens.element)),
      this.#keep.element,
    );
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "reconstruct-title" },
      h("h2", { id: "reconstruct-title" }, text.title),
      h("p", { class: "lead" }, text.lead(number(imageSize), groups)),
      this.#notice.element,
      h("div", { class: "reconstruct" }, this.#asking, this.#source.element, this.#task.element, this.#result),
      explainReconstruct(),
    );
    const own = () => lab.store.get().reconstruct;
    this.#asking.hidden = Object.entries(fields).every(([name, field]) => field.print(own()[name as keyof typeof fields] as never) === field.print(field.fallback as never));
    lab.store.subscribe((state, before) => {
      if (state.reconstruct !== before.reconstruct) this.#live.refresh();
    }, lab.signal);
  }

  visible(on: boolean): void {
    if (!on) this.#source.close();
    else if (!this.#asking.hidden) this.#lab.say(this.#asking.textContent ?? "");
  }

  /** Begins with a picture, wherever it came from. */
  take(file: File): boolean {
    if (!this.#live.shot) this.element.scrollIntoView({ block: "nearest" });
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
      // A link's square is for the first picture; the square of the picture before says nothing of the next.
      const crop = this.#live.shot ? [] : this.#lab.store.get().reconstruct.crop;
      await this.#live.begin({ name: file.name, bytes }, crop, signal, (progress) => this.#task.progress(progress));
      this.#lab.store.set({ reconstruct: { crop } }, { undoable: false });
    } catch (thrown) {
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#lab.say(words().shell.stopped);
      // A bad picture stays bad: trying again helps with everything else.
      else this.#notice.show(error, error.code === "picture" ? undefined : () => this.take(file));
    } finally {
      this.#task.end();
      this.#running = false;
      if (this.#notice.code === BUSY) this.#notice.clear();
      this.element.classList.remove("running");
      // Settings that changed on the way.
      this.#live.refresh();
    }
  }

  #show(shot: Shot, before: Shot | null): void {
    this.#asking.hidden = true;
    this.#result.hidden = false;
    this.element.classList.add("loaded");
    if (shot.given !== before?.given) {
      this.#brush.patches = shot.facts.canHide ? shot.facts.patches : 0;
      this.#cropper.show(shot.opened);
    }
    this.#lab.say(this.#pictures.show(shot));
    this.#tokens.show(shot);
    this.#keep.show(shot);
  }

  #fail(error: MaetokError): void {
    if (error.code === "cancelled") this.#lab.say(words().reconstruct.behind);
    else this.#notice.show(error, () => this.#live.refresh());
  }

  /** A bar and a stop for passes that take long. */
  #bar(): { began: () => AbortSignal; ended: () => void } {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let shown = false;
    return {
      began: () => {
        const abort = new AbortController();
        this.#pictures.element.setAttribute("aria-busy", "true");
        timer = setTimeout(() => {
          shown = true;
          this.#passing.begin(words().shell.task.compute).addEventListener("abort", () => abort.abort(), { once: true });
        }, PATIENCE);
        return abort.signal;
      },
      ended: () => {
        clearTimeout(timer);
        this.#pictures.element.removeAttribute("aria-busy");
        if (shown) this.#passing.end();
        shown = false;
      },
    };
  }

  /** Takes back whatever keeps this from being the plain reconstruction; the square stays. */
  #reset(): void {
    this.#lab.store.set({ reconstruct: { share: 0, brush: "", keep: ALL, drop: "", order: "0", noise: 0 } });
  }

  async #save(picture: Picture, suffix: string): Promise<void> {
    try {
      save(await this.#lab.client.png(picture), `${stem(this.#live.shot?.given.name ?? "")}-${suffix}.png`);
      this.#lab.say(words().shell.saved);
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
