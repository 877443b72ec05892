/** Where pictures come from: a file, a drop, the clipboard, the camera, or one of the model's own. */

import { type MaetokError } from "../../errors.ts";
import type { ModelClass } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { Camera } from "./camera.ts";

export interface Audience {
  take: (file: File) => void;
  fail: (error: MaetokError, retry?: () => void) => void;
}

export class Source {
  readonly input = h("input", { type: "file", id: "picture", accept: "image/png,image/jpeg,image/webp,image/gif", class: "visually-hidden" });
  readonly #audience: Audience;
  readonly #camera: Camera;
  readonly element: HTMLElement;

  constructor(lab: Lab, audience: Audience) {
    this.#audience = audience;
    const text = words().reconstruct;
    const look = h("button", { type: "button", class: "quiet", onclick: () => void this.#camera.start() }, text.camera.open);
    this.#camera = new Camera(
      {
        take: audience.take,
        fail: (error) => audience.fail(error),
        open: (on) => {
          look.disabled = on;
          if (!on) look.focus();
        },
      },
      lab.signal,
    );
    const samples = lab.model.classes.filter(({ thumbnail }) => thumbnail !== null);
    this.element = h(
      "div",
      { class: "source" },
      h("div", { class: "drop" }, h("div", { class: "buttons" }, this.input, h("label", { for: "picture", class: "button" }, text.choose), look), h("p", { class: "hint" }, text.orDrop), this.#camera.element),
      samples.length > 0 && h("div", { class: "samples", role: "group", "aria-label": text.samples }, h("p", { class: "hint" }, text.samples), h("div", { class: "row" }, ...samples.map((entry) => this.#sample(entry)))),
    );
    this.input.addEventListener("change", () => {
      const file = this.input.files?.[0];
      if (file) audience.take(file);
      // Choosing the same file again is a change again.
      this.input.value = "";
    });
  }

  /** Ends the camera: nobody sees it any more. */
  close(): void {
    this.#camera.close();
  }

  #sample({ name, label, thumbnail }: ModelClass): HTMLElement {
    const shown = words().generate.label(label);
    const image = h("img", { src: thumbnail!, alt: "", width: 48, height: 48, loading: "lazy", decoding: "async" });
    return h("button", { type: "button", class: "sample", title: shown, "aria-label": shown, onclick: () => void this.#fetch(name, thumbnail!) }, image);
  }

  async #fetch(name: string, address: string): Promise<void> {
    const { sampleFailed, sampleAdvice } = words().reconstruct;
    try {
      const response = await fetch(address);
      if (!response.ok) throw new Error(String(response.status));
      this.#audience.take(new File([await response.blob()], name));
    } catch {
      this.#audience.fail(new PageError("download", sampleFailed, sampleAdvice), () => void this.#fetch(name, address));
    }
  }
}
