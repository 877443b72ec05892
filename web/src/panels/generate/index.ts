/** From a class to a picture, and every guess on the way. */

import { asMaetokError, cancelled, type MaetokError } from "../../errors.ts";
import { bytes, duration, number } from "../../format.ts";
import type { Picture, SampleRequest, StepReport, Timing } from "../../protocol.ts";
import { h, save } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { Notice } from "../../ui/notice.ts";
import { Strip } from "../../ui/strip.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import type { Lab, Panel } from "../panel.ts";
import { explainGenerate } from "./explain.ts";
import { FORM, Settings } from "./settings.ts";

/** A run and what it has shown so far. */
interface Film {
  request: SampleRequest;
  /** The class's name for people. */
  label: string;
  frames: { step: StepReport; picture: Picture; final: boolean }[];
}

export function create(lab: Lab): Panel {
  return new Generate(lab);
}

class Generate implements Panel {
  readonly #lab: Lab;
  readonly #settings: Settings;
  readonly #go = h("button", { type: "submit", class: "primary", form: FORM }, words().generate.go);
  readonly #download = h("p", { class: "hint" });
  readonly #notice = new Notice(this.#go);
  readonly #task: Task;
  readonly #frame = new Frame(words().shell.noPicture);
  readonly #caption = h("p", { class: "caption" }, words().generate.nothingYet);
  readonly #strip = new Strip((index) => this.#show(index));
  readonly #pixels = h("input", { type: "checkbox" });
  readonly #save = h("button", { type: "button", class: "quiet", disabled: true }, words().shell.saveAsPng);
  readonly #facts = h("p", { class: "hint facts" });
  readonly #stage: HTMLElement;
  readonly element: HTMLElement;

  /** What is shown: the last run that got as far as a picture. */
  #film: Film | null = null;
  #running = false;

  constructor(lab: Lab) {
    this.#lab = lab;
    this.#task = new Task(lab.say, this.#go);
    this.#settings = new Settings(lab, () => void this.#run(), (error) => this.#notice.show(error));
    this.#stage = h(
      "div",
      { class: "stage" },
      this.#notice.element,
      h("div", { class: "action" }, this.#go, this.#task.element),
      this.#download,
      h("div", { class: "frame" }, this.#frame.canvas),
      this.#caption,
      this.#strip.element,
      h("div", { class: "buttons" }, this.#save, h("label", { class: "toggle" }, this.#pixels, words().shell.pixels)),
      this.#facts,
    );
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "generate-title" },
      h("h2", { id: "generate-title" }, words().generate.title),
      h("p", { class: "lead" }, words().generate.intro),
      h("div", { class: "columns" }, this.#settings.element, this.#stage),
      explainGenerate(),
    );
    this.#pixels.addEventListener("change", () => (this.#frame.pixels = this.#pixels.checked));
    this.#save.addEventListener("click", () => void this.#saveShown());
    this.#frame.showNoise(lab.model.imageSize);
    this.#tellDownload(lab.model.toDownload);
  }

  /** Says before the first click what it will download. */
  #tellDownload(count: number): void {
    this.#download.textContent = count > 0 ? words().generate.download(bytes(count)) : "";
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#notice.clear();
    let film: Film;
    try {
      film = { ...this.#settings.request(), frames: [] };
    } catch (error) {
      this.#notice.show(asMaetokError(error));
      return;
    }
    const facts = this.#facts.textContent;
    this.#facts.textContent = "";
    const { gettingReady } = words().shell.task;
    if (!this.#film) this.#caption.textContent = gettingReady;
    const signal = this.#task.begin(gettingReady);
    this.#setRunning(true);
    if (window.matchMedia("(max-width: 52rem)").matches) this.#stage.scrollIntoView({ block: "start" });
    try {
      const { pictures, timing } = await this.#lab.client.generate(this.#lab.manifest, [film.request], signal, {
        onProgress: (progress) => this.#task.progress(progress),
        onStep: (step) => this.#step(film, step),
      });
      this.#tellDownload(0);
      this.#setRunning(false);
      this.#finish(film, pictures?.[0] ?? null, timing, this.#task.end(), facts);
    } catch (thrown) {
      this.#setRunning(false);
      this.#task.end();
      this.#fail(film, asMaetokError(thrown), facts);
    }
  }

  #setRunning(running: boolean): void {
    this.#running = running;
    // The bar takes the button's place, and Stop its focus; at the end the task gives it back.
    const focused = document.activeElement === this.#go;
    this.#go.hidden = running;
    if (running && focused) this.#task.focus();
    this.element.classList.toggle("running", running);
  }

  #step(film: Film, step: StepReport): void {
    this.#task.step(step);
    const picture = step.cleanPictures?.[0];
    if (picture) this.#add(film, { step, picture, final: false });
  }

  /** The first picture of a run takes the place of the run before, which stays until then. */
  #add(film: Film, frame: Film["frames"][number]): void {
    if (this.#film !== film) {
      this.#film = film;
      this.#strip.reset();
      this.#save.disabled = false;
    }
    film.frames.push(frame);
    // Whoever looks at an earlier step keeps looking at it.
    this.#strip.add(frame.picture);
  }

  /** `facts`: the words under the picture of the run before. */
  #finish(film: Film, picture: Picture | null, timing: Timing, total: number, facts: string): void {
    const text = words().generate;
    const last = film.frames.at(-1);
    if (!last) return this.#fail(film, cancelled(), facts);
    if (!picture) {
      this.#strip.end();
      this.#show(film.frames.length - 1);
      return this.#tell(text.stoppedAt(number(last.step.index), number(last.step.of)));
    }
    this.#add(film, { step: last.step, picture, final: true });
    this.#strip.end();
    const parts = [text.done(duration(total))];
    if (timing.engine > 1000) parts.push(text.starting(duration(timing.engine)));
    const share = Math.round((100 * timing.previews) / (timing.steps + timing.previews));
    parts.push(text.aStep(duration(timing.steps / last.step.of)), text.guesses(number(share)));
    this.#facts.textContent = `${parts.join(", ")}.`;
    this.#lab.say(text.said(duration(total)));
  }

  #fail(film: Film, error: MaetokError, facts: string): void {
    const begun = this.#film === film;
    if (begun) this.#strip.end();
    else if (!this.#film) this.#caption.textContent = words().generate.nothingYet;
    if (error.code === "cancelled") {
      this.#tell(begun || !this.#film ? words().shell.stopped : words().generate.stillBefore);
    } else {
      if (!begun) this.#facts.textContent = facts;
      this.#notice.show(error, () => void this.#run());
    }
  }

  #tell(text: string): void {
    this.#facts.textContent = text;
    this.#lab.say(text);
  }

  #show(index: number): void {
    const frame = this.#film?.frames[index];
    if (!frame) return;
    const { step, picture, final } = frame;
    const { finished, guess } = words().generate;
    const caption = final ? finished : guess(number(step.index), number(step.of), number(Math.round(step.t * 100)));
    this.#caption.textContent = caption;
    this.#frame.show(picture, `${this.#film!.label}: ${caption}`);
    this.#strip.describe(caption);
  }

  async #saveShown(): Promise<void> {
    const { picture } = this.#frame;
    if (!picture || !this.#film) return;
    const { request, frames } = this.#film;
    const frame = frames.find((one) => one.picture === picture);
    const step = frame && !frame.final ? `-step${frame.step.index}` : "";
    const { class: name, seed, steps, guidance } = request;
    try {
      save(await this.#lab.client.png(picture), `${name}-seed${seed}-${steps}steps-guidance${guidance}${step}.png`);
      this.#lab.say(words().shell.saved);
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
