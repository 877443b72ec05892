/** From a class to a picture, and every guess on the way. */

import type { Client } from "../client.ts";
import { asMaetokError, cancelled, MaetokError } from "../errors.ts";
import { bytes, duration } from "../format.ts";
import type { ModelSummary, Picture, SampleRequest, StepReport, Timing } from "../protocol.ts";
import { h, save } from "./dom.ts";
import { Frame } from "./frame.ts";
import { Notice } from "./notice.ts";
import { Picker } from "./picker.ts";
import { Strip } from "./strip.ts";
import { Task } from "./task.ts";

const INTRO =
  "A picture begins as noise. At each step the network guesses the finished picture from what it has (the guess is called x̂0) and takes a little of the noise away.";

const NOTHING_YET = "Noise. Choose a class and press Generate.";

const SAMPLERS: [SampleRequest["sampler"], string][] = [
  ["euler", "Euler: straight steps"],
  ["heun", "Heun: two looks per step"],
  ["sde", "Euler–Maruyama: with fresh noise"],
];

/** A run and what it has shown so far. */
interface Film {
  request: SampleRequest;
  /** The class's name for people. */
  label: string;
  frames: { step: StepReport; picture: Picture; final: boolean }[];
}

export class Generate {
  readonly #client: Client;
  readonly #manifest: string;
  readonly #say: (words: string) => void;

  readonly #picker = new Picker();
  readonly #seed = h("input", { id: "seed", type: "text", inputmode: "numeric", value: "1", autocomplete: "off", "aria-describedby": "seed-help" });
  readonly #steps = h("input", { id: "steps", type: "number", min: 1, max: 1000, value: 25 });
  readonly #guidance = h("input", { id: "guidance", type: "range", min: 1, max: 8, step: 0.1, value: 2 });
  readonly #guidanceValue = h("output", { for: "guidance" });
  readonly #sampler = h("select", { id: "sampler" }, ...SAMPLERS.map(([value, label]) => h("option", { value }, label)));
  readonly #go = h("button", { type: "submit", class: "primary", form: "request" }, "Generate");
  readonly #download = h("p", { class: "hint" });
  readonly #notice = new Notice(this.#go);
  readonly #task: Task;
  readonly #frame = new Frame("No picture yet");
  readonly #caption = h("p", { class: "caption" }, NOTHING_YET);
  readonly #strip = new Strip((index) => this.#show(index));
  readonly #pixels = h("input", { type: "checkbox" });
  readonly #save = h("button", { type: "button", class: "quiet", disabled: true }, "Save as PNG");
  readonly #facts = h("p", { class: "hint facts" });
  readonly #stage: HTMLElement;
  readonly element: HTMLElement;

  /** What is shown: the last run that got as far as a picture. */
  #film: Film | null = null;
  #running = false;

  constructor(client: Client, manifest: string, say: (words: string) => void) {
    this.#client = client;
    this.#manifest = manifest;
    this.#say = say;
    this.#task = new Task(say, this.#go);
    const dice = h("button", { type: "button", class: "dice", title: "Another seed", "aria-label": "Another seed" }, "⚄");
    const form = h(
      "form",
      { id: "request", novalidate: true, class: "controls" },
      this.#picker.element,
      h(
        "div",
        { class: "settings" },
        h("div", { class: "setting" }, h("label", { for: "seed" }, "Starting noise ", h("span", { class: "term" }, "(seed)")), h("div", { class: "joined" }, this.#seed, dice), h("p", { class: "hint", id: "seed-help" }, "Same number, same picture.")),
        h("div", { class: "setting" }, h("label", { for: "steps" }, "Steps"), this.#steps, h("p", { class: "hint" }, "1 to 1000: finer, slower.")),
        h("div", { class: "setting wide" }, h("label", { for: "guidance" }, "How strongly to follow the class ", h("span", { class: "term" }, "(guidance scale)")), h("div", { class: "joined" }, this.#guidance, this.#guidanceValue), h("p", { class: "hint" }, "1 follows it as learnt; higher is more typical and less varied.")),
        h("div", { class: "setting wide" }, h("label", { for: "sampler" }, "Way of stepping ", h("span", { class: "term" }, "(sampler)")), this.#sampler),
      ),
    );
    this.#stage = h(
      "div",
      { class: "stage" },
      this.#notice.element,
      h("div", { class: "action" }, this.#go, this.#task.element),
      this.#download,
      h("div", { class: "frame" }, this.#frame.canvas),
      this.#caption,
      this.#strip.element,
      h("div", { class: "buttons" }, this.#save, h("label", { class: "toggle" }, this.#pixels, "Show the pixels")),
      this.#facts,
    );
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "generate-title" },
      h("h2", { id: "generate-title" }, "Watch noise become a picture"),
      h("p", { class: "lead" }, INTRO),
      h("div", { class: "columns" }, form, this.#stage),
    );

    form.addEventListener("submit", (event) => (event.preventDefault(), void this.#run()));
    dice.addEventListener("click", () => {
      this.#seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000);
    });
    this.#guidance.addEventListener("input", () => this.#showGuidance());
    this.#pixels.addEventListener("change", () => (this.#frame.pixels = this.#pixels.checked));
    this.#save.addEventListener("click", () => void this.#saveShown());
    this.#showGuidance();
  }

  fill(model: ModelSummary): void {
    this.#picker.fill(model.classes);
    this.#frame.showNoise(model.imageSize);
    this.tellDownload(model.toDownload);
  }

  /** Says before the first click what it will download. */
  tellDownload(count: number): void {
    this.#download.textContent = count > 0 ? `The first picture downloads up to ${bytes(count)}, once.` : "";
  }

  #showGuidance(): void {
    const value = Number(this.#guidance.value);
    this.#guidanceValue.textContent = value.toFixed(1);
  }

  /** What the form says. The engine knows the limits; only what is no number at all is refused here. */
  #request(): { request: SampleRequest; label: string } {
    const chosen = this.#picker.chosen;
    if (!chosen) throw new MaetokError("setting", "No class is chosen.", "Choose one of the pictures.");
    const seed = this.#seed.value.trim();
    if (!/^\d{1,20}$/.test(seed) || BigInt(seed) >= 2n ** 64n) {
      throw new MaetokError("setting", `The seed is ${seed === "" ? "empty" : `“${seed.slice(0, 30)}”`}, but it must be a whole number from 0 to 2⁶⁴ − 1.`);
    }
    const steps = this.#steps.valueAsNumber;
    if (!Number.isInteger(steps) || steps < 1 || steps > 1000) {
      throw new MaetokError("setting", `Steps is ${this.#steps.value || "empty"}, but it must be a whole number from 1 to 1000.`);
    }
    const sampler = this.#sampler.value as SampleRequest["sampler"];
    return { request: { class: chosen.name, seed, steps, guidance: Number(this.#guidance.value), sampler }, label: chosen.label };
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#notice.clear();
    let film: Film;
    try {
      film = { ...this.#request(), frames: [] };
    } catch (error) {
      this.#notice.show(asMaetokError(error));
      return;
    }
    const facts = this.#facts.textContent;
    this.#facts.textContent = "";
    if (!this.#film) this.#caption.textContent = "Getting ready…";
    const signal = this.#task.begin("Getting ready…");
    this.#setRunning(true);
    if (window.matchMedia("(max-width: 52rem)").matches) this.#stage.scrollIntoView({ block: "start" });
    try {
      const { pictures, timing } = await this.#client.generate(this.#manifest, [film.request], signal, {
        onProgress: (progress) => this.#task.progress(progress),
        onStep: (step) => this.#step(film, step),
      });
      this.tellDownload(0);
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
    const last = film.frames.at(-1);
    if (!last) return this.#fail(film, cancelled(), facts);
    if (!picture) {
      this.#strip.end();
      this.#show(film.frames.length - 1);
      return this.#tell(`Stopped at step ${last.step.index} of ${last.step.of}; the last guess is kept.`);
    }
    this.#add(film, { step: last.step, picture, final: true });
    this.#strip.end();
    const parts = [`Done in ${duration(total)}`];
    if (timing.engine > 1000) parts.push(`${duration(timing.engine)} of it to download and start`);
    const share = Math.round((100 * timing.previews) / (timing.steps + timing.previews));
    parts.push(`${duration(timing.steps / last.step.of)} a step`, `${share} % of the computing for the guesses shown`);
    this.#facts.textContent = `${parts.join(", ")}.`;
    this.#say(`Finished in ${duration(total)}.`);
  }

  #fail(film: Film, error: MaetokError, facts: string): void {
    const begun = this.#film === film;
    if (begun) this.#strip.end();
    else if (!this.#film) this.#caption.textContent = NOTHING_YET;
    if (error.code === "cancelled") {
      this.#tell(begun || !this.#film ? "Stopped." : "Stopped. This is still the picture from before.");
    } else {
      if (!begun) this.#facts.textContent = facts;
      this.#notice.show(error, () => void this.#run());
    }
  }

  #tell(words: string): void {
    this.#facts.textContent = words;
    this.#say(words);
  }

  #show(index: number): void {
    const frame = this.#film?.frames[index];
    if (!frame) return;
    const { step, picture, final } = frame;
    const words = final ? "The finished picture" : `Guess at step ${step.index} of ${step.of}, with ${Math.round(step.t * 100)} % noise left`;
    this.#caption.textContent = words;
    this.#frame.show(picture, `${this.#film!.label}: ${words}`);
    this.#strip.describe(words);
  }

  async #saveShown(): Promise<void> {
    const { picture } = this.#frame;
    if (!picture || !this.#film) return;
    const { request, frames } = this.#film;
    const frame = frames.find((one) => one.picture === picture);
    const step = frame && !frame.final ? `-step${frame.step.index}` : "";
    const { class: name, seed, steps, guidance } = request;
    try {
      save(await this.#client.png(picture), `${name}-seed${seed}-${steps}steps-guidance${guidance}${step}.png`);
      this.#say("Saved.");
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
