/** From a class to a picture, and every guess on the way. */

import "../../style/generate.css";
import { asMaetokError, cancelled, type MaetokError } from "../../errors.ts";
import { bytes, duration, number } from "../../format.ts";
import type { Picture, Progress, StepReport, Timing } from "../../protocol.ts";
import { ShareBox } from "../../share/box.ts";
import { MOST_FRAMES, thin } from "../../share/gif.ts";
import { fileName } from "../../share/names.ts";
import { write as writeRecipe } from "../../share/recipe.ts";
import { h, save } from "../../ui/dom.ts";
import { Filmstrip } from "../../ui/filmstrip.ts";
import { Notice } from "../../ui/notice.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import type { Lab, Panel } from "../panel.ts";
import { Darkroom } from "./darkroom.ts";
import { explainGenerate } from "./explain.ts";
import { blank, type Film, type GenerateSettings, type Kind, length, moment, only } from "./film.ts";
import { History } from "./history.ts";
import { Live } from "./live.ts";
import { previewChoice } from "./preview.ts";
import { FORM, Settings } from "./settings.ts";
import { View } from "./view.ts";

/** What a run depends on: the other settings only say how it is looked at. */
const MATTERS: readonly (keyof GenerateSettings)[] = ["class", "seed", "steps", "guidance", "low", "high", "sampler", "count"];

/** Milliseconds of work on pictures before others may have their turn. */
const SLICE = 12;

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
  readonly #view = new View(() => this.#turn());
  readonly #caption = h("p", { class: "caption" }, words().generate.nothingYet);
  readonly #strip = new Filmstrip((index) => this.#show(index), (index) => this.#describe(index));
  readonly #preview: HTMLElement;
  readonly #pixels = h("input", { type: "checkbox" });
  readonly #save = h("button", { type: "button", class: "quiet", disabled: true }, words().shell.saveAsPng);
  readonly #facts = h("p", { class: "hint facts" });
  readonly #live: Live;
  readonly #history: History;
  readonly #share: ShareBox;
  readonly #darkroom: Darkroom;
  readonly #stage: HTMLElement;
  readonly element: HTMLElement;

  /** What is shown: the last run that got as far as a picture, or one of before that somebody wanted back. */
  #film: Film | null = null;
  #running: { film: Film; abort: AbortController | null } | null = null;
  /** The controls have moved while a run was under way. */
  #again = false;
  /** The latest painting of the film, which ends those before. */
  #painting: object = {};
  /** The settings come from a run that is shown: nothing is to follow them. */
  #restoring = false;

  constructor(lab: Lab) {
    this.#lab = lab;
    const { client, manifest, model, store, signal, say } = lab;
    const text = words().generate;
    this.#task = new Task(say, this.#go);
    this.#settings = new Settings(lab, () => void this.#run(), (error) => this.#notice.show(error));
    this.#live = new Live(lab);
    this.#preview = previewChoice(lab);
    this.#darkroom = new Darkroom(client, manifest, (film, kind, at) => this.#developed(film, kind, at));
    this.#history = new History((film) => this.#bringBack(film), (film) => this.#nameOf(film));
    this.#share = new ShareBox(lab, {
      frames: (film, signal) => this.#frames(film, signal),
      fail: (error) => this.#notice.show(error),
    });
    this.#stage = h(
      "div",
      { class: "stage" },
      this.#notice.element,
      h("div", { class: "action" }, this.#go, this.#task.element),
      this.#download,
      this.#live.element,
      this.#view.element,
      this.#caption,
      this.#strip.element,
      this.#preview,
      h("div", { class: "buttons" }, this.#save, h("label", { class: "toggle" }, this.#pixels, words().shell.pixels)),
      this.#facts,
    );
    this.element = h(
      "section",
      { class: "card generate", "aria-labelledby": "generate-title" },
      h("h2", { id: "generate-title" }, text.title),
      h("p", { class: "lead" }, text.intro),
      h("div", { class: "columns" }, this.#settings.element, this.#stage),
      this.#history.element,
      this.#share.element,
      explainGenerate(model.path),
    );
    this.#pixels.addEventListener("change", () => (this.#view.pixels = this.#pixels.checked));
    this.#save.addEventListener("click", () => void this.#saveShown());
    store.subscribe((state, before) => {
      const [now, then] = [state.generate, before.generate];
      if (now === then) return;
      if (now.preview !== then.preview) this.#turn();
      this.#live.update();
      if (this.#live.on && !this.#restoring && (MATTERS.some((name) => now[name] !== then[name]) || !then.live)) this.#follow();
    }, signal);
    this.#view.noise(model.imageSize);
    this.#tellDownload(model.toDownload);
  }

  /** Something to read where this panel's own facts stand. */
  tell(text: string): void {
    this.#facts.textContent = text;
    this.#lab.say(text);
  }

  /** Says before the first click what it will download. */
  #tellDownload(count: number): void {
    this.#download.textContent = count > 0 ? words().generate.download(bytes(count)) : "";
  }

  /** The controls have moved: the run under way is of yesterday. */
  #follow(): void {
    if (!this.#running) return this.#isShown ? undefined : void this.#run(true);
    this.#again = true;
    this.#running.abort?.abort();
  }

  /** Whether the picture of the present settings is on the page already. */
  get #isShown(): boolean {
    const now = this.#lab.store.get().generate;
    const shown = this.#film?.finals && this.#film.settings;
    return !!shown && MATTERS.every((name) => now[name] === shown[name]);
  }

  /** `live`: without bar and words, since it is over before they could be read. */
  async #run(live = false): Promise<void> {
    if (this.#running) return;
    let film: Film;
    try {
      const { settings, label } = this.#settings.request();
      film = blank(settings, label, live);
    } catch (error) {
      // Somebody is still typing.
      if (!live) this.#notice.show(asMaetokError(error));
      return;
    }
    this.#notice.clear();
    this.#darkroom.stop();
    const facts = this.#facts.textContent;
    const abort = live ? new AbortController() : null;
    const signal = abort?.signal ?? this.#begin();
    this.#running = { film, abort };
    this.#strip.pause();
    let resumed: number | null = null;
    try {
      const { client, manifest } = this.#lab;
      const { pictures, timing } = await client.generate(manifest, film.requests, signal, {
        shown: live ? "nothing" : onTheWay(film.settings),
        onProgress: (progress: Progress) => {
          if (progress.phase === "resume") resumed = progress.taken;
          if (!live) this.#task.progress(progress);
        },
        onStep: (step) => this.#step(film, step),
      });
      this.#tellDownload(0);
      film.finals = pictures;
      const total = this.#end(film);
      if (pictures && resumed === null) this.#live.measure(film.settings, timing.steps);
      await this.#finish(film, timing, total, facts, resumed);
    } catch (thrown) {
      this.#end(film);
      this.#fail(film, asMaetokError(thrown), facts);
    }
    if (this.#again && this.#live.on) {
      this.#again = false;
      void this.#run(true);
    }
  }

  #begin(): AbortSignal {
    const { gettingReady } = words().shell.task;
    this.#facts.textContent = "";
    if (!this.#film) this.#caption.textContent = gettingReady;
    const signal = this.#task.begin(gettingReady);
    // The bar takes the button's place, and Stop its focus; at the end the task gives it back.
    const focused = document.activeElement === this.#go;
    this.#go.hidden = true;
    if (focused) this.#task.focus();
    this.#dress(true);
    if (window.matchMedia("(max-width: 52rem)").matches) this.#stage.scrollIntoView({ block: "start" });
    return signal;
  }

  /** Returns how long it took, in milliseconds. */
  #end(film: Film): number {
    this.#running = null;
    if (film.live) return 0;
    this.#go.hidden = false;
    this.#dress(false);
    return this.#task.end();
  }

  #dress(running: boolean): void {
    this.element.classList.toggle("running", running);
    this.#history.enabled = !running;
    this.#share.enabled = !running;
  }

  #step(film: Film, step: StepReport): void {
    if (!film.live) this.#task.step(step);
    const at = film.moments.push(moment(step)) - 1;
    const { cleanPictures, statePictures } = step;
    if (cleanPictures) this.#darkroom.put(film, "clean", at, cleanPictures);
    if (statePictures) this.#darkroom.put(film, "state", at, statePictures);
    if (!cleanPictures && !statePictures) return;
    // The first picture of a run takes the place of the run before, which stays until then.
    if (this.#film !== film) this.#put(film);
    const follows = this.#strip.grow(film.moments.length);
    this.#paintThumbnail(film, at);
    // Whoever looks at an earlier step keeps looking at it.
    if (follows) this.#strip.go(at);
  }

  /** `facts`: the words under the picture of the run before. */
  async #finish(film: Film, timing: Timing, total: number, facts: string, resumed: number | null): Promise<void> {
    const text = words().generate;
    const last = film.moments.at(-1);
    if (!last || (film.live && !film.finals)) return this.#fail(film, cancelled(), facts);
    const kinds = kindsOf(film.settings);
    if (!film.finals) await this.#darkroom.now(film, kinds, film.moments.length - 1);
    if (this.#film !== film) this.#put(film);
    const end = length(film) - 1;
    if (this.#strip.grow(end + 1)) this.#strip.go(end);
    this.#strip.end();
    void this.#paintFilm(film);
    this.#history.add(film, film.finals ?? this.#darkroom.get(film, kinds[0]!, end)!);
    this.#share.show(film);
    const lost = resumed === null ? "" : ` ${text.resumed(number(resumed))}`;
    if (!film.finals) this.tell(text.stoppedAt(number(last.index), number(last.of)) + lost);
    else if (film.live) this.#facts.textContent = text.live.took(duration(timing.steps));
    else {
      const parts = [text.done(duration(total))];
      if (timing.engine > 1000) parts.push(text.starting(duration(timing.engine)));
      const share = Math.round((100 * timing.previews) / (timing.steps + timing.previews));
      parts.push(text.aStep(duration(timing.steps / Math.max(1, last.of - (resumed ?? 0)))), text.guesses(number(share)));
      this.#facts.textContent = `${parts.join(", ")}.${lost}`;
      this.#lab.say(text.said(duration(total)) + lost);
    }
    this.#develop();
  }

  #fail(film: Film, error: MaetokError, facts: string): void {
    const begun = this.#film === film;
    if (begun) this.#strip.end();
    else if (!this.#film) this.#caption.textContent = words().generate.nothingYet;
    if (film.live && error.code === "cancelled") return;
    if (error.code === "cancelled") this.tell(begun || !this.#film ? words().shell.stopped : words().generate.stillBefore);
    else {
      if (!begun) this.#facts.textContent = facts;
      this.#notice.show(error, () => void this.#run());
    }
    this.#develop();
  }

  /** Shows a film from now on. */
  #put(film: Film): void {
    // Live pictures of a batch replace each other: the one that is enlarged stays so.
    if (!film.live || this.#film?.requests.length !== film.requests.length) this.#view.reset();
    this.#film = film;
    this.#strip.reset(film.settings.steps + 1);
    this.#save.disabled = false;
    this.#history.mark(film);
  }

  /** A run of before: its settings and its film. */
  #bringBack(film: Film): void {
    if (this.#running && !this.#running.film.live) return;
    this.#running?.abort?.abort();
    this.#restoring = true;
    const { store } = this.#lab;
    const { live, preview } = store.get().generate;
    // Taken over whole, so that two clicks in a row are two changes to take back.
    store.load({ ...store.get(), generate: { ...film.settings, live, preview } });
    this.#restoring = false;
    this.#again = false;
    this.#notice.clear();
    this.#put(film);
    this.#strip.grow(length(film));
    this.#strip.end();
    this.#strip.go(length(film) - 1);
    this.#share.show(film);
    this.tell(words().generate.backAgain(this.#nameOf(film)));
    this.#turn();
  }

  #kinds(): Kind[] {
    return kindsOf(this.#lab.store.get().generate);
  }

  /** Makes the pictures that the run had no time for. */
  #develop(): void {
    if (this.#film && !this.#running) void this.#darkroom.develop(this.#film, this.#kinds());
  }

  /** The pictures of a film for a GIF, one after the other, as it is looked at. */
  async #frames(film: Film, signal: AbortSignal): Promise<Picture[]> {
    const kind = this.#kinds()[0]!;
    const frames = [];
    for (const at of thin(Array.from({ length: length(film) }, (_, at) => at), MOST_FRAMES)) {
      if (signal.aborted) throw cancelled();
      await this.#darkroom.now(film, [kind], at);
      const pictures = this.#darkroom.get(film, kind, at)!;
      frames.push(this.#view.choose(pictures));
    }
    return frames;
  }

  #developed(film: Film, kind: Kind, at: number): void {
    if (film !== this.#film) return;
    if (kind === this.#kinds()[0]) this.#paintThumbnail(film, at);
    if (at === this.#strip.index) this.#show(at);
  }

  #paintThumbnail(film: Film, at: number): void {
    if (!this.#strip.has(at)) return;
    const pictures = this.#darkroom.get(film, this.#kinds()[0]!, at);
    if (pictures) this.#strip.paint(at, this.#view.choose(pictures));
  }

  /** The little pictures that are there already, a few at a time: a long film of large sheets takes a while. */
  async #paintFilm(film: Film): Promise<void> {
    const painting = (this.#painting = {});
    let began = performance.now();
    for (let at = 0; at < length(film); at++) {
      if (performance.now() - began > SLICE) {
        await new Promise((resolve) => setTimeout(resolve));
        if (this.#painting !== painting || this.#film !== film) return;
        began = performance.now();
      }
      this.#paintThumbnail(film, at);
    }
  }

  /** Looks at the same step in another way. */
  #turn(): void {
    const film = this.#film;
    if (!film) return;
    void this.#paintFilm(film);
    this.#strip.go(this.#strip.index);
    this.#develop();
  }

  #show(index: number): void {
    const film = this.#film;
    if (!film) return;
    const { at } = this.#view;
    // Of a batch it is to be said which one is large.
    const caption = this.#describe(index) + (at === null ? "" : `, ${words().generate.seedNumber(film.requests[at]!.seed)}`);
    const final = index === film.moments.length;
    const kinds: Kind[] = final ? ["clean"] : this.#kinds();
    const made = kinds.flatMap((kind) => {
      const pictures = this.#darkroom.get(film, kind, index);
      return pictures ? [[kind, pictures] as const] : [];
    });
    // While a run goes on, half of what is wanted is better than none.
    if (made.length < (this.#running ? 1 : kinds.length)) {
      // The picture before stays until this one is made.
      this.#caption.textContent = `${caption}${words().generate.notYet}`;
      if (!this.#running) this.#darkroom.want(film, kinds, index);
      return;
    }
    this.#caption.textContent = caption;
    this.#view.show(Object.fromEntries(made), `${film.label}: ${caption}`, (at) => `${film.label}, ${words().generate.seedNumber(film.requests[at]!.seed)}`);
  }

  #describe(index: number): string {
    const film = this.#film;
    const moment = film?.moments[index];
    const { finished, guess, state, both } = words().generate;
    const { at } = this.#view;
    if (!moment) return film?.finals ? finished(at === null ? film.requests.length : 1) : "";
    const put = { clean: guess, state, both }[this.#lab.store.get().generate.preview];
    return put(number(moment.index), number(moment.of), number(Math.round(moment.t * 100)));
  }

  #nameOf(film: Film): string {
    const { steps, guidance, count } = film.settings;
    return words().generate.run(film.label, film.requests[0]!.seed, number(steps), number(guidance, 1), number(count));
  }

  async #saveShown(): Promise<void> {
    const picture = this.#view.shown;
    const film = this.#film;
    if (!picture || !film) return;
    const moment = film.moments[this.#strip.index];
    const settings = this.#view.at === null ? film.settings : only(film, this.#view.at);
    const kind = moment && this.#kinds()[0] === "state" ? "-state" : "";
    try {
      const text = writeRecipe(this.#lab.model.title, "generate", settings);
      save(await this.#lab.client.png(picture, text), fileName(settings, `${moment ? `-step${moment.index}` : ""}${kind}.png`));
      this.#lab.say(words().shell.saved);
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}

/** What is decoded while a run goes on. A grid shows one kind, and the other would cost as much again. */
function onTheWay({ preview, count }: GenerateSettings): GenerateSettings["preview"] {
  return preview === "both" && count > 1 ? "clean" : preview;
}

function kindsOf({ preview }: GenerateSettings): Kind[] {
  return preview === "both" ? ["clean", "state"] : [preview];
}
