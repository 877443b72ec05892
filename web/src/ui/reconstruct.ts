/** A picture of one's own, and what is left of it after the tokenizer. */

import type { Client } from "../client.ts";
import { asMaetokError, MaetokError } from "../errors.ts";
import { duration } from "../format.ts";
import type { ModelSummary, Reconstruction } from "../protocol.ts";
import { h, save } from "./dom.ts";
import { Frame } from "./frame.ts";
import { Notice } from "./notice.ts";
import { Task } from "./task.ts";

/** Larger files are refused before they are read into memory. */
const LARGEST = 64 * 2 ** 20;

/** A second picture while the first is under way. */
const BUSY = "busy";

export class Reconstruct {
  readonly #client: Client;
  readonly #manifest: string;
  readonly #say: (words: string) => void;

  readonly #lead = h("p", { class: "lead" });
  readonly #input = h("input", { type: "file", id: "picture", accept: "image/png,image/jpeg,image/webp,image/gif", class: "visually-hidden" });
  readonly #drop: HTMLElement;
  readonly #notice = new Notice(this.#input);
  readonly #task: Task;
  readonly #before = new Frame("No picture yet");
  readonly #after = new Frame("No picture yet");
  readonly #scores = h("dl", { class: "scores" });
  readonly #notices = h("ul", { class: "hint notices" });
  readonly #pixels = h("input", { type: "checkbox" });
  readonly #result: HTMLElement;
  readonly element: HTMLElement;

  #name = "picture";
  #running = false;

  constructor(client: Client, manifest: string, say: (words: string) => void) {
    this.#client = client;
    this.#manifest = manifest;
    this.#say = say;
    this.#task = new Task(say, this.#input);
    this.#drop = h(
      "div",
      { class: "drop" },
      this.#input,
      h("label", { for: "picture", class: "button" }, "Choose a picture"),
      h("p", { class: "hint" }, "or drop one here, or paste one. PNG, JPEG, WebP or GIF. It stays on this device."),
    );
    const saveOne = (frame: Frame, suffix: string, label: string) => {
      const button = h("button", { type: "button", class: "quiet" }, label);
      button.addEventListener("click", () => void this.#save(frame, suffix));
      return button;
    };
    this.#result = h(
      "div",
      { class: "result", hidden: true },
      h("figure", {}, h("div", { class: "frame" }, this.#before.canvas), h("figcaption", {}, "Original, as the model sees it")),
      h("figure", {}, h("div", { class: "frame" }, this.#after.canvas), h("figcaption", {}, "Reconstruction")),
      h("div", { class: "findings" }, this.#scores, this.#notices),
      h(
        "div",
        { class: "buttons" },
        saveOne(this.#after, "reconstruction", "Save reconstruction as PNG"),
        saveOne(this.#before, "original", "Save original as PNG"),
        h("label", { class: "toggle" }, this.#pixels, "Show the pixels"),
      ),
    );
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "reconstruct-title" },
      h("h2", { id: "reconstruct-title" }, "See what survives of your own picture"),
      this.#lead,
      this.#notice.element,
      h("div", { class: "reconstruct" }, this.#drop, this.#task.element, this.#result),
    );

    this.#input.addEventListener("change", () => {
      const file = this.#input.files?.[0];
      if (file) this.take(file);
      // Choosing the same file again is a change again.
      this.#input.value = "";
    });
    this.#pixels.addEventListener("change", () => {
      this.#before.pixels = this.#after.pixels = this.#pixels.checked;
    });
    this.#lead.textContent = "The tokenizer squeezes a picture into a short list of numbers (the latent) and paints it anew from these alone.";
  }

  fill({ imageSize, classes }: ModelSummary): void {
    const seen = [...new Set(classes.map((entry) => entry.group.toLowerCase()).filter(Boolean))].join(" and ");
    const limits = seen ? ` It has seen only ${seen}: other pictures survive less well.` : "";
    this.#lead.textContent = `The tokenizer squeezes a picture of ${imageSize} × ${imageSize} pixels into a short list of numbers (the latent) and paints it anew from these alone.${limits}`;
  }

  /** A file is held over the page, or no longer. */
  over(on: boolean): void {
    this.#drop.classList.toggle("over", on);
  }

  /** Begins with a picture, wherever it came from. */
  take(file: File): void {
    this.element.scrollIntoView({ block: "nearest" });
    if (this.#running) this.#notice.show(new MaetokError(BUSY, `“${file.name}” was not taken: the picture before it is still being worked on.`, "Wait for it or stop it, then give this one again."));
    else void this.#run(file);
  }

  /** Something that is no file was dropped. */
  refuse(): void {
    this.element.scrollIntoView({ block: "nearest" });
    this.#notice.show(new MaetokError("picture", "What was dropped is not a file.", "Save the picture first and drop the file, or copy the picture and paste it here."));
  }

  async #run(file: File): Promise<void> {
    this.#running = true;
    this.#notice.clear();
    this.element.classList.add("running");
    const signal = this.#task.begin("Reading the picture…");
    try {
      if (file.size > LARGEST) {
        throw new MaetokError("picture", `The file has ${Math.round(file.size / 2 ** 20)} MiB and at most ${LARGEST / 2 ** 20} are read.`, "Choose a smaller picture.");
      }
      const bytes = await file.arrayBuffer().catch(() => {
        throw new MaetokError("picture", `The file “${file.name}” cannot be read.`, "Choose a file, not a folder.");
      });
      const result = await this.#client.reconstruct(this.#manifest, bytes, signal, { onProgress: (progress) => this.#task.progress(progress) });
      this.#task.end();
      this.#name = file.name.replace(/\.[^.]*$/, "") || "picture";
      this.#show(result);
    } catch (thrown) {
      this.#task.end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#say("Stopped.");
      // A bad picture stays bad: trying again helps with everything else.
      else this.#notice.show(error, error.code === "picture" ? undefined : () => this.take(file));
    } finally {
      this.#running = false;
      if (this.#notice.code === BUSY) this.#notice.clear();
      this.element.classList.remove("running");
    }
  }

  #show({ square: original, reconstruction, psnr, ssim, latents, notices, ms }: Reconstruction): void {
    this.#before.show(original, "Original, centre-cropped");
    this.#after.show(reconstruction, "Reconstruction from the latent");
    const score = (name: string, value: string, meaning: string) => h("div", {}, h("dt", {}, name), h("dd", {}, h("strong", {}, value), h("span", { class: "hint" }, meaning)));
    const decibels = Number.isFinite(psnr) ? `${psnr.toFixed(1)} dB` : "∞ dB";
    const values = original.width * original.height * 3;
    this.#scores.replaceChildren(
      score("Pixel closeness (PSNR)", decibels, "higher is closer; from 30 dB on it is hard to see a difference"),
      score("Likeness of structure (SSIM)", ssim.toFixed(3), "1 is the same picture"),
      score("Size of the latent", `${latents.length} numbers`, `for ${values} colour values; done in ${duration(ms)}`),
    );
    this.#notices.replaceChildren(...notices.map((notice) => h("li", {}, notice)));
    this.#result.hidden = false;
    this.#say(`Reconstructed: PSNR ${decibels}, SSIM ${ssim.toFixed(3)}.`);
  }

  async #save(frame: Frame, suffix: string): Promise<void> {
    if (!frame.picture) return;
    try {
      save(await this.#client.png(frame.picture), `${this.#name}-${suffix}.png`);
      this.#say("Saved.");
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
