/** “Share and keep”: a run as a link, a command line, a film, and as numbers. */

import { asMaetokError, type MaetokError } from "../errors.ts";
import { number } from "../format.ts";
import type { Film } from "../panels/generate/film.ts";
import type { Lab } from "../panels/panel.ts";
import type { ModelFacts, Picture } from "../protocol.ts";
import { toHash } from "../state/link.ts";
import { CopyField } from "../ui/copy.ts";
import { h, save } from "../ui/dom.ts";
import { Task } from "../ui/task.ts";
import { words } from "../words/index.ts";
import { finalLatents, safetensors, trajectory } from "./arrays.ts";
import { command } from "./command.ts";
import { gif } from "./gif.ts";
import { fileName } from "./names.ts";
import { write as writeRecipe } from "./recipe.ts";

export interface Source {
  /** Every picture of a film, made if need be. */
  frames: (film: Film, signal: AbortSignal) => Promise<Picture[]>;
  fail: (error: MaetokError) => void;
}

export class ShareBox {
  readonly #lab: Lab;
  readonly #source: Source;
  readonly #link: CopyField;
  readonly #command: CopyField;
  readonly #buttons: HTMLButtonElement[];
  readonly #task: Task;
  readonly element: HTMLElement;
  #film: Film | null = null;
  #enabled = true;
  #busy = false;

  constructor(lab: Lab, source: Source) {
    this.#lab = lab;
    this.#source = source;
    const text = words().share;
    const { say, store, signal } = lab;
    this.#link = new CopyField("share-link", text.link, text.copyLink, () => this.#address(), say);
    this.#command = new CopyField("share-command", text.command, text.copyCommand, () => command(this.#settings()), say);
    const button = (label: string, title: string, make: (film: Film) => Promise<void>) => {
      const made = h("button", { type: "button", class: "quiet", title }, label);
      made.addEventListener("click", () => void this.#do(make));
      return made;
    };
    const film = button(text.gif, text.gifTitle, (film) => this.#saveGif(film));
    const numbers = [
      button(text.latents, text.latentsTitle, async (film) => save(await lab.client.npy(finalLatents(film, await this.#size())), fileName(film.settings, "-latent.npy"))),
      button(text.run, text.runTitle, async (film) => save(await lab.client.npy(trajectory(film, "state", await this.#size())), fileName(film.settings, "-run.npy"))),
      button(text.tensors, text.tensorsTitle, async (film) => save(await safetensors(lab.client, film, await this.#size(), writeRecipe(lab.model.title, "generate", film.settings)), fileName(film.settings, "-run.safetensors"))),
    ];
    this.#buttons = [film, ...numbers];
    this.#task = new Task(say, film);
    this.element = h(
      "section",
      { class: "share", "aria-labelledby": "share-title" },
      h("h3", { id: "share-title" }, text.title),
      h("p", { class: "hint" }, text.intro),
      h("div", { class: "copies" }, this.#link.element, this.#command.element),
      h(
        "div",
        { class: "files" },
        h("div", { class: "file-group" }, h("span", { class: "label" }, text.film), h("div", { class: "buttons" }, film)),
        h("div", { class: "file-group" }, h("span", { class: "label" }, text.numbers), h("div", { class: "buttons" }, ...numbers), h("p", { class: "hint" }, text.numbersHint)),
      ),
      this.#task.element,
    );
    store.subscribe(() => this.#update(), signal);
    this.#update();
  }

  /** Another run is shown. */
  show(film: Film): void {
    this.#film = film;
    this.#update();
  }

  /** While a run is under way there is nothing to save of it yet. */
  set enabled(value: boolean) {
    this.#enabled = value;
    this.#update();
  }

  #update(): void {
    this.#link.update();
    this.#command.update();
    for (const button of this.#buttons) button.disabled = !this.#film || !this.#enabled || this.#busy;
  }

  /** Of the run that is shown, whatever the controls say by now; of the controls while there is none. */
  #settings(): Film["settings"] {
    const { generate } = this.#lab.store.get();
    if (this.#film) return { ...this.#film.settings, live: false, preview: generate.preview };
    return { ...generate, class: generate.class || this.#lab.model.classes[0]!.name };
  }

  /** Neither the language nor the engine of the one who shares it. */
  #address(): string {
    return `${location.origin}${location.pathname}${toHash({ ...this.#lab.store.get(), generate: this.#settings() })}`;
  }

  /** L and C. */
  #size(): Promise<ModelFacts> {
    return this.#lab.client.prepare(this.#lab.manifest);
  }

  async #do(make: (film: Film) => Promise<void>): Promise<void> {
    if (!this.#film || this.#busy) return;
    const focused = document.activeElement;
    this.#busy = true;
    this.#update();
    try {
      await make(this.#film);
      this.#lab.say(words().shell.saved);
    } catch (thrown) {
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#lab.say(words().shell.stopped);
      else this.#source.fail(error);
    } finally {
      this.#busy = false;
      this.#update();
      // A button that is disabled loses the focus.
      if (focused instanceof HTMLElement && document.activeElement === document.body) focused.focus();
    }
  }

  async #saveGif(film: Film): Promise<void> {
    const text = words().share;
    const signal = this.#task.begin(text.gathering);
    try {
      const frames = await this.#source.frames(film, signal);
      const file = await gif(frames, signal, (done, of) => this.#task.part(text.making(number(done), number(of)), done, of));
      save(file, fileName(film.settings, ".gif"));
    } finally {
      this.#task.end();
    }
  }
}
