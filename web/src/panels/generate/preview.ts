/** What is shown of a step: what the network takes the picture to be, where the run stands, or both. */

import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";

const OPTIONS = ["clean", "state", "both"] as const;

export class Preview {
  readonly element: HTMLElement;

  constructor({ store, signal }: Lab) {
    const { preview, previews } = words().generate;
    const inputs = OPTIONS.map((value) => h("input", { type: "radio", name: "preview", value }));
    this.element = h(
      "fieldset",
      { class: "segments" },
      h("legend", {}, preview),
      ...inputs.map((input, i) => h("label", {}, input, h("span", {}, previews[OPTIONS[i]!]))),
    );
    const show = () => {
      for (const input of inputs) input.checked = input.value === store.get().generate.preview;
    };
    this.element.addEventListener("change", () => {
      const chosen = OPTIONS.find((_, i) => inputs[i]!.checked);
      if (chosen) store.set({ generate: { preview: chosen } });
    });
    store.subscribe(show, signal);
    show();
  }
}
