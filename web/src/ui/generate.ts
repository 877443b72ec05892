/** From a class to a picture, and every guess on the way. */

import type { Client } from "../client.ts";
import { asMaetokError, MaetokError } from "../errors.ts";
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

const SAMPLERS: [SampleRequest["sampler"], string][] = [
  ["euler", "Euler: straight steps"],
  ["heun", "Heun: two looks per step"],
  ["sde", "Euler–Maruyama: with fresh noise"],
];

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
  readonly #notice = new Notice();
  readonly #task: Task;
  readonly #frame = new Frame("No picture yet");
  readonly #caption = h("p", { class: "caption" }, "Noise. Choose a class and press Generate.");
  readonly #strip = new Strip((index) => this.#show(index));
  readonly #pixels = h("input", { type: "checkbox" });
  readonly #save = h("button", { type: "button", class: "quiet", disabled: true }, "Save as PNG");
  readonly #facts = h("p", { class: "hint facts" });
  readonly #stage: HTMLElement;
  readonly element: HTMLElement;

  #frames: { step: StepReport; picture: Picture; final: boolean }[] = [];
  #made: SampleRequest | null = null;
  #running = false;

  constructor(client: Client, manifest: string, say: (words: string) => void) {
    this.#client = client;
    this.#manifest = manifest;
    this.#say = say;
    this.#task = new Task(say);
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
    this.#frame.showNoise(64);
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
  #request(): SampleRequest {
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
    return { class: chosen.name, seed, steps, guidance: Number(this.#guidance.value), sampler: this.#sampler.value as SampleRequest["sampler"] };
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#notice.clear();
    let request: SampleRequest;
    try {
      request = this.#request();
    } catch (error) {
      this.#notice.show(asMaetokError(error));
      return;
    }
    this.#made = request;
    this.#frames = [];
    this.#strip.reset();
    this.#save.disabled = true;
    this.#facts.textContent = "";
    this.#caption.textContent = "Getting ready…";
    const signal = this.#task.begin("Getting ready…");
    this.#setRunning(true);
    if (window.matchMedia("(max-width: 52rem)").matches) this.#stage.scrollIntoView({ block: "start" });
    try {
      const { picture, timing } = await this.#client.generate(this.#manifest, request, signal, {
        onProgress: (progress) => this.#task.progress(progress),
        onStep: (step) => this.#step(step),
      });
      this.#setRunning(false);
      this.#finish(picture, timing, this.#task.end());
    } catch (thrown) {
      this.#setRunning(false);
      this.#task.end();
      this.#fail(asMaetokError(thrown));
    }
  }

  #setRunning(running: boolean): void {
    this.#running = running;
    // The bar takes the button's place, and Stop its focus.
    const focused = running ? document.activeElement === this.#go : this.#task.element.contains(document.activeElement);
    this.#go.hidden = running;
    if (running && focused) this.#task.focus();
    else if (focused) this.#go.focus();
    this.element.classList.toggle("running", running);
  }

  #step(step: StepReport): void {
    this.#task.step(step);
    if (!step.preview) return;
    this.#frames.push({ step, picture: step.preview, final: false });
    // Whoever looks at an earlier step keeps looking at it.
    this.#strip.add(step.preview);
    this.#save.disabled = false;
  }

  #finish(picture: Picture | null, timing: Timing, total: number): void {
    const last = this.#frames.at(-1);
    if (picture && last) {
      this.#frames.push({ step: last.step, picture, final: true });
      this.#strip.add(picture);
    }
    this.#strip.end();
    this.tellDownload(0);
    if (!picture) {
      const words = last ? `Stopped at step ${last.step.index} of ${last.step.of}; the last guess is kept.` : "Stopped before the first step.";
      if (!last) this.#reset();
      else this.#show(this.#frames.length - 1);
      this.#facts.textContent = words;
      this.#say(words);
      return;
    }
    const parts = [`Done in ${duration(total)}`];
    if (timing.engine > 1000) parts.push(`${duration(timing.engine)} of it to download and start`);
    const share = Math.round((100 * timing.previews) / (timing.steps + timing.previews));
    parts.push(`${duration(timing.steps / (last?.step.of ?? 1))} a step`, `${share} % of the computing for the guesses shown`);
    this.#facts.textContent = `${parts.join(", ")}.`;
    this.#say(`Finished in ${duration(total)}.`);
  }

  #fail(error: MaetokError): void {
    this.#strip.end();
    if (this.#frames.length === 0) this.#reset();
    if (error.code === "cancelled") {
      this.#facts.textContent = "Stopped.";
      this.#say("Stopped.");
    } else {
      this.#notice.show(error, () => void this.#run());
    }
  }

  #reset(): void {
    this.#frame.showNoise(64);
    this.#caption.textContent = "Noise. Choose a class and press Generate.";
  }

  #show(index: number): void {
    const frame = this.#frames[index];
    if (!frame) return;
    const { step, picture, final } = frame;
    const words = final ? "The finished picture" : `Guess at step ${step.index} of ${step.of}, with ${Math.round(step.t * 100)} % noise left`;
    this.#caption.textContent = words;
    this.#frame.show(picture, `${this.#picker.chosen?.label ?? ""}: ${words}`);
    this.#strip.describe(words);
  }

  async #saveShown(): Promise<void> {
    const { picture } = this.#frame;
    if (!picture || !this.#made) return;
    const frame = this.#frames.find((one) => one.picture === picture);
    const step = frame && !frame.final ? `-step${frame.step.index}` : "";
    const { class: name, seed, steps, guidance } = this.#made;
    try {
      save(await this.#client.png(picture), `${name}-seed${seed}-${steps}steps-guidance${guidance}${step}.png`);
      this.#say("Saved.");
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
