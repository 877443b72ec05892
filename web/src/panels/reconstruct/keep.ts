/** What can be taken away: the latent as numbers, its table as a picture, and the command that does the same. */

import { asMaetokError, type MaetokError } from "../../errors.ts";
import { h, save } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { type Given, type Shot } from "./live.ts";

export class Keep {
  readonly #lab: Lab;
  readonly #fail: (error: MaetokError) => void;
  readonly #command = h("code", { class: "command" });
  readonly #limits = h("p", { class: "hint" });
  readonly element: HTMLElement;
  #shot: Shot | null = null;

  constructor(lab: Lab, heatmap: () => HTMLCanvasElement, fail: (error: MaetokError) => void) {
    this.#lab = lab;
    this.#fail = fail;
    const text = words().reconstruct.keep;
    const button = (label: string, press: () => Promise<void>) => h("button", { type: "button", class: "quiet", onclick: () => void this.#try(press) }, label);
    this.element = h(
      "section",
      { class: "tool keep", "aria-labelledby": "keep-title" },
      h("h3", { id: "keep-title" }, text.title),
      h("p", { class: "hint" }, text.intro),
      h(
        "div",
        { class: "buttons" },
        button(text.npy, () => this.#npy()),
        button(text.safetensors, () => this.#safetensors()),
        button(text.heatmap, async () => {
          const file = await new Promise<Blob | null>((resolve) => heatmap().toBlob(resolve, "image/png"));
          if (file) this.#save(file, "latent.png");
        }),
      ),
      this.#command,
      h("div", { class: "buttons" }, button(text.copy, () => this.#copy())),
      this.#limits,
    );
  }

  show(shot: Shot): void {
    this.#shot = shot;
    const cut = shot.cut !== "";
    this.#command.textContent = commandLine(shot.given, cut);
    this.#limits.textContent = cut ? words().reconstruct.keep.fromSquare : words().reconstruct.keep.plain;
  }

  async #npy(): Promise<void> {
    const { edited, form } = this.#shot!;
    this.#save(await this.#lab.client.npy({ name: "latent", shape: [form.tokens, form.channels], values: edited.latents }), "latent.npy");
  }

  /** As the encoder gave it, and as it is decoded. */
  async #safetensors(): Promise<void> {
    const { edited, latents, form, given, hidden } = this.#shot!;
    const shape = [form.tokens, form.channels];
    const metadata = { model: this.#lab.model.title, picture: given.name, unit: "tokenizer", latent_mean: String(form.mean), latent_std: String(form.std), hidden_patches: [...hidden.keys()].filter((patch) => hidden[patch]).join(" ") };
    const file = await this.#lab.client.safetensors([{ name: "latent", shape, values: edited.latents }, { name: "encoded", shape, values: latents }], metadata);
    this.#save(file, "latent.safetensors");
  }

  async #copy(): Promise<void> {
    // Where the clipboard is refused the line can still be marked by hand, and is.
    try {
      await navigator.clipboard.writeText(this.#command.textContent ?? "");
      this.#lab.say(words().reconstruct.keep.copied);
      this.#limits.textContent = words().reconstruct.keep.copied;
    } catch {
      getSelection()?.selectAllChildren(this.#command);
      this.#limits.textContent = words().reconstruct.keep.marked;
      this.#lab.say(words().reconstruct.keep.marked);
    }
  }

  #save(file: Blob, suffix: string): void {
    save(file, `${stem(this.#shot!.given.name)}-${suffix}`);
    this.#lab.say(words().shell.saved);
  }

  async #try(work: () => Promise<void>): Promise<void> {
    if (!this.#shot) return;
    try {
      await work();
    } catch (thrown) {
      this.#fail(asMaetokError(thrown));
    }
  }
}

/** A file's name without its ending. */
export function stem(name: string): string {
  return name.replace(/\.[^.]*$/, "") || words().reconstruct.fileName;
}

/** The command line knows no square but the middle one: another is the picture that was saved of it. */
export function commandLine(given: Pick<Given, "name">, cut: boolean): string {
  const input = cut ? `${stem(given.name)}-original.png` : given.name;
  return `maetok reconstruct ${quoted(input)} --out ${quoted(`${stem(given.name)}-reconstruction.png`)}`;
}

/** A word for a POSIX shell; one that begins with a dash would be an option. */
export function quoted(word: string): string {
  const path = word.startsWith("-") ? `./${word}` : word;
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
