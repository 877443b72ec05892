/**
 * One picture through every tokenizer that is here. `models/index.json`, beside the models' folders, says which there are:
 * a list of `{ name, title, manifest }`, the last an address from there. Without the file there is this page's model alone.
 */

import { duration, number } from "../../format.ts";
import type { Picture } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { Work } from "../../ui/work.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { keepPicture } from "../mix/keep.ts";

export interface Listed {
  name: string;
  title: string;
  /** Absolute address. */
  manifest: string;
}

/** More than these are not shown. */
const MOST = 8;

/** Larger files are refused before they are read into memory. */
const LARGEST = 64 * 2 ** 20;

/** Reads a list of models, whoever wrote it; `null` if it is none. Models of another origin are left out. */
export function parseList(json: unknown, base: string): Listed[] | null {
  if (!Array.isArray(json)) return null;
  const models: Listed[] = [];
  for (const entry of json.slice(0, MOST) as unknown[]) {
    const { name, title, manifest } = (entry ?? {}) as Record<string, unknown>;
    if (typeof name !== "string" || typeof title !== "string" || typeof manifest !== "string" || !URL.canParse(manifest, base)) return null;
    const address = new URL(manifest, base);
    if (address.origin === new URL(base).origin) models.push({ name: name.slice(0, 80), title: title.slice(0, 120), manifest: address.href });
  }
  return models;
}

export class Tokenizers {
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #work: Work;
  readonly #about = h("p", { class: "hint about-models" }, words().compare.lookingForModels);
  readonly #choose: HTMLElement;
  readonly #sample: HTMLSelectElement;
  readonly #results = h("div", { class: "tokenizers" });
  #models: Listed[] | null = null;
  #looking: Promise<void> | null = null;
  #file: File | null = null;

  constructor(lab: Lab) {
    this.#lab = lab;
    const text = words().compare;
    this.#work = new Work(text.goTokenizers, lab.say, () => this.#go());
    const input = h("input", { type: "file", id: "compare-file", accept: "image/png,image/jpeg,image/webp,image/gif", class: "visually-hidden" });
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) this.take(file);
      input.value = "";
    });
    const samples = lab.model.classes.filter(({ thumbnail }) => thumbnail);
    this.#sample = h("select", { id: "compare-sample" }, ...samples.map(({ thumbnail, label }) => h("option", { value: thumbnail! }, words().generate.label(label))));
    this.#sample.addEventListener("change", () => (this.#file = null));
    this.#choose = h(
      "div",
      { class: "settings", hidden: true },
      h("div", { class: "setting", hidden: samples.length === 0 }, h("label", { for: "compare-sample" }, words().mix.sample), this.#sample),
      h("div", { class: "choose" }, input, h("label", { for: "compare-file", class: "button" }, words().reconstruct.choose), h("p", { class: "hint" }, words().reconstruct.orDrop)),
    );
    this.#work.element.hidden = true;
    this.element = h("div", { class: "compare-tokenizers" }, this.#about, this.#choose, this.#work.element, this.#results);
  }

  /** Finds out which models there are, once. */
  look(): Promise<void> {
    this.#looking ??= this.#find();
    return this.#looking;
  }

  take(file: File): boolean {
    if (!this.#models || this.#models.length < 2) return false;
    this.#file = file;
    this.#go();
    return true;
  }

  async #find(): Promise<void> {
    const { manifest, model, signal } = this.#lab;
    const text = words().compare;
    const address = new URL("../index.json", manifest).href;
    const own = { name: "", title: model.title, manifest };
    let listed: Listed[] | null = null;
    try {
      const response = await fetch(address, { signal });
      if (response.ok && response.headers.get("content-type")?.includes("json")) listed = parseList(await response.json(), address);
    } catch {
      // No list, or none that can be read: the model that is shown is here in any case.
    }
    this.#models = listed && listed.length > 0 ? listed : [own];
    const several = this.#models.length > 1;
    this.#about.textContent = several ? text.severalModels(number(this.#models.length)) : text.oneModel(this.#models[0]!.title);
    this.#choose.hidden = this.#work.element.hidden = !several;
  }

  #go(): void {
    void this.#work.run(async (signal, task) => {
      const { client } = this.#lab;
      const text = words().compare;
      const began = performance.now();
      const [name, bytes] = await this.#read(signal);
      const shown: HTMLElement[] = [];
      for (const { title, manifest } of this.#models!) {
        const listeners = { onProgress: task.progress.bind(task) };
        const { imageSize } = await client.describe(manifest);
        const facts = await client.prepare(manifest, signal, listeners);
        const { square } = await client.open(bytes.slice(0), imageSize, null, signal);
        const { latents, ms } = await client.encode(manifest, square, null, signal, listeners);
        const decoded = await client.decode(manifest, latents, true, signal, listeners);
        const picture = decoded.pictures[0]!;
        const { psnr, ssim } = await client.score(square, picture);
        const size = text.latentSize(number(facts.latentTokens), number(facts.latentChannels), number(latents.length));
        if (shown.length === 0) shown.push(this.#figure(square, words().reconstruct.original, [text.pixelsOf(number(square.width))], `${name}-original.png`));
        shown.push(this.#figure(picture, title, [`PSNR ${Number.isFinite(psnr) ? number(psnr, 1) : "∞"} dB`, `SSIM ${number(ssim, 3)}`, size, text.bothWays(duration(ms + decoded.ms))], `${name}-${title.replace(/[^\p{L}\p{N}]+/gu, "-")}.png`));
        this.#results.replaceChildren(...shown);
      }
      return text.tokenizersDone(number(this.#models!.length), duration(performance.now() - began));
    });
  }

  /** The picture's name and its bytes. */
  async #read(signal: AbortSignal): Promise<[string, ArrayBuffer]> {
    const text = words().reconstruct;
    const file = this.#file;
    if (file) {
      if (file.size > LARGEST) throw new PageError("picture", text.tooLarge(number(file.size / 2 ** 20), number(LARGEST / 2 ** 20)), text.tooLargeAdvice);
      const bytes = await file.arrayBuffer().catch(() => {
        throw new PageError("picture", text.unreadable(file.name), text.unreadableAdvice);
      });
      return [file.name.replace(/\.[^.]*$/, "") || text.fileName, bytes];
    }
    if (!this.#sample.value) throw new PageError("picture", words().compare.noPicture, words().compare.noPictureAdvice);
    const response = await fetch(this.#sample.value, { signal });
    if (!response.ok) throw new PageError("download", words().errors.download.message, words().errors.download.advice);
    return [this.#sample.value.split("/").at(-1)!.replace(/\.[^.]*$/, ""), await response.arrayBuffer()];
  }

  #figure(picture: Picture, title: string, facts: string[], file: string): HTMLElement {
    const frame = new Frame(title);
    frame.show(picture, title);
    return h(
      "figure",
      {},
      h("div", { class: "frame" }, frame.canvas),
      h("figcaption", {}, h("strong", {}, title), h("ul", { class: "hint" }, ...facts.map((fact) => h("li", {}, fact)))),
      h("button", { type: "button", class: "quiet", onclick: () => keepPicture(this.#lab, "compare", picture, file, this.#work.notice) }, words().mix.savePicture),
    );
  }
}
