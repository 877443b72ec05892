/** Original and reconstruction side by side, with what they are worth. */

import { duration, number } from "../../format.ts";
import type { Picture, Reconstruction } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { words } from "../../words/index.ts";

export class Result {
  readonly #before = new Frame(words().shell.noPicture);
  readonly #after = new Frame(words().shell.noPicture);
  readonly #scores = h("dl", { class: "scores" });
  readonly #notices = h("ul", { class: "hint notices" });
  readonly element: HTMLElement;

  /** `save` is given a picture and the end of its file's name. */
  constructor(save: (picture: Picture, suffix: string) => void) {
    const text = words().reconstruct;
    const pixels = h("input", { type: "checkbox" });
    const button = (frame: Frame, suffix: string, label: string) =>
      h("button", { type: "button", class: "quiet", onclick: () => frame.picture && save(frame.picture, suffix) }, label);
    this.element = h(
      "div",
      { class: "result", hidden: true },
      h("figure", {}, h("div", { class: "frame" }, this.#before.canvas), h("figcaption", {}, text.original)),
      h("figure", {}, h("div", { class: "frame" }, this.#after.canvas), h("figcaption", {}, text.reconstruction)),
      h("div", { class: "findings" }, this.#scores, this.#notices),
      h(
        "div",
        { class: "buttons" },
        button(this.#after, "reconstruction", text.saveReconstruction),
        button(this.#before, "original", text.saveOriginal),
        h("label", { class: "toggle" }, pixels, words().shell.pixels),
      ),
    );
    pixels.addEventListener("change", () => {
      this.#before.pixels = this.#after.pixels = pixels.checked;
    });
  }

  /** Returns what there is to say of it in one sentence. */
  show({ square: original, reconstruction, psnr, ssim, latents, notices, ms }: Reconstruction): string {
    const text = words().reconstruct;
    this.#before.show(original, text.originalCropped);
    this.#after.show(reconstruction, text.fromLatent);
    const score = (name: string, value: string, meaning: string) => h("div", {}, h("dt", {}, name), h("dd", {}, h("strong", {}, value), h("span", { class: "hint" }, meaning)));
    const decibels = `${Number.isFinite(psnr) ? number(psnr, 1) : "∞"} dB`;
    const likeness = number(ssim, 3);
    const values = original.width * original.height * 3;
    this.#scores.replaceChildren(
      score(text.psnr, decibels, text.psnrMeaning),
      score(text.ssim, likeness, text.ssimMeaning),
      score(text.size, text.numbers(number(latents.length)), text.sizeMeaning(number(values), duration(ms))),
    );
    this.#notices.replaceChildren(...notices.map((notice) => h("li", {}, text.notice(notice))));
    this.element.hidden = false;
    return text.said(decibels, likeness);
  }
}
