/** The latents of many pictures on a plane; one's own picture and a run among them. Loaded when somebody asks for it. */

import "../../style/map.css";
import { asMaetokError } from "../../errors.ts";
import { bytes, number } from "../../format.ts";
import { h, save } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab, Panel } from "../panel.ts";
import { RunControls } from "./controls.ts";
import { fetchMap } from "./data.ts";
import { explainMap } from "./explain.ts";
import { MOST_AXES } from "./fields.ts";
import { Film } from "./film.ts";
import { Projection } from "./projection.ts";
import { World } from "./world.ts";

declare const __WASM_BYTES__: number;

/** Larger files are refused before they are read into memory. */
const LARGEST = 64 * 2 ** 20;

export function create(lab: Lab): Panel {
  return new MapPanel(lab);
}

class MapPanel implements Panel {
  readonly #lab: Lab;
  readonly #load = h("button", { type: "button", class: "primary" });
  readonly #input = h("input", { type: "file", id: "map-picture", accept: "image/png,image/jpeg,image/webp,image/gif", class: "visually-hidden" });
  readonly #controls: RunControls;
  readonly #loadTask: Task;
  readonly #task: Task;
  readonly #notice: Notice;
  readonly #door: HTMLElement;
  readonly #below: HTMLElement;
  readonly #beside: HTMLElement;
  readonly #savePicture = h("button", { type: "button", class: "quiet", hidden: true }, words().map.savePicture);
  readonly element: HTMLElement;
  #world: World | null = null;
  #film: Film | null = null;
  #loading: Promise<World | null> | null = null;
  #running = false;
  /** The step whose picture is wanted while another's is decoded. */
  #decoding = false;

  constructor(lab: Lab) {
    this.#lab = lab;
    const text = words().map;
    const { files } = lab.model.map!;
    this.#load.textContent = text.load(bytes(files.reduce((sum, { size }) => sum + size, 0)));
    this.#loadTask = new Task(lab.say, this.#load);
    this.#controls = new RunControls(lab, () => void this.#run(), (index) => this.#look(index));
    this.#task = new Task(lab.say, this.#controls.go);
    this.#notice = new Notice(this.#load);
    const saveMap = h("button", { type: "button", class: "quiet", onclick: () => void this.#saveMap() }, text.save);
    this.#below = h("div", { class: "map-below" }, this.#task.element, this.#controls.scrub, h("div", { class: "buttons" }, saveMap, this.#savePicture));
    this.#beside = h(
      "div",
      { class: "map-doors" },
      h(
        "section",
        { class: "own", "aria-labelledby": "map-own" },
        h("h3", { id: "map-own" }, text.ownTitle),
        h("div", { class: "own-drop" }, this.#input, h("label", { for: "map-picture", class: "button" }, text.choose), h("p", { class: "hint" }, text.orDrop)),
        h("p", { class: "hint" }, text.ownHint(number(lab.model.imageSize))),
      ),
      ...(lab.model.generates && lab.model.classes.length > 0 ? [this.#controls.element] : []),
    );
    this.#door = h("div", { class: "map-door" }, this.#load, this.#loadTask.element, h("p", { class: "hint" }, text.loadHint(bytes(__WASM_BYTES__))));
    this.element = h(
      "section",
      { class: "card", "aria-labelledby": "map-title" },
      h("h2", { id: "map-title" }, text.title),
      h("p", { class: "lead" }, text.lead),
      this.#notice.element,
      this.#door,
      explainMap(),
    );
    this.#load.addEventListener("click", () => void this.#ready());
    this.#savePicture.addEventListener("click", () => void this.#saveChosen());
    this.#input.addEventListener("change", () => {
      const file = this.#input.files?.[0];
      if (file) this.take(file);
      // Choosing the same file again is a change again.
      this.#input.value = "";
    });
  }

  take(file: File): boolean {
    void this.#place(file);
    return true;
  }

  /** The map; null if it cannot be had, which is said. Whoever asks while it is on its way waits for the same. */
  #ready(): Promise<World | null> {
    this.#loading ??= this.#fetch().then((world) => {
      if (!world) this.#loading = null;
      return world;
    });
    return this.#loading;
  }

  async #fetch(): Promise<World | null> {
    const { client, manifest, model, say, signal } = this.#lab;
    const text = words().map;
    this.#notice.clear();
    const stopped = this.#loadTask.begin(text.loading);
    const focused = document.activeElement === this.#load;
    this.#load.hidden = true;
    if (focused) this.#loadTask.focus();
    const total = model.map!.files.reduce((sum, { size }) => sum + size, 0);
    let loaded = 0;
    try {
      const data = await fetchMap(model.map!, manifest, model.classes.length, AbortSignal.any([stopped, signal]), (bytes) => {
        loaded += bytes;
        this.#loadTask.progress({ phase: "download", loaded, total });
      });
      this.#loadTask.progress({ phase: "compute" });
      const projection = await Projection.fit(client, data.values, data.width, MOST_AXES);
      stopped.throwIfAborted();
      const world = new World(this.#lab, data, projection, this.#below, this.#beside);
      this.#world = world;
      const inside = this.#door.contains(document.activeElement);
      this.#loadTask.end();
      this.#door.replaceWith(world.element);
      world.placed();
      if (inside) world.element.querySelector<HTMLElement>("canvas.plot")?.focus({ preventScroll: true });
      say(text.ready(number(data.count)));
      return world;
    } catch (thrown) {
      this.#load.hidden = false;
      this.#loadTask.end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") say(words().shell.stopped);
      else this.#notice.show(error, () => void this.#ready());
      return null;
    }
  }

  /** Puts a picture on the map, wherever it came from. */
  async #place(file: File): Promise<void> {
    const text = words().map;
    const world = await this.#ready();
    if (!world) return;
    const { reconstruct } = words();
    if (this.#running) return this.#notice.show(new PageError("busy", reconstruct.busy(file.name), reconstruct.busyAdvice));
    const signal = this.#begin(text.reading);
    const { client, manifest, model } = this.#lab;
    try {
      if (file.size > LARGEST) throw new PageError("picture", reconstruct.tooLarge(number(file.size / 2 ** 20), number(LARGEST / 2 ** 20)), reconstruct.tooLargeAdvice);
      const bytes = await file.arrayBuffer().catch(() => {
        throw new PageError("picture", reconstruct.unreadable(file.name), reconstruct.unreadableAdvice);
      });
      const { square } = await client.open(bytes, model.imageSize, null, signal);
      await this.#fits(world, signal);
      const { latents } = await client.encode(manifest, square, null, signal, { onProgress: (progress) => this.#task.progress(progress) });
      this.#end();
      world.showOwn(file.name.replace(/\.[^.]*$/, "") || reconstruct.fileName, square, latents);
      this.#offerPicture();
    } catch (thrown) {
      this.#end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#lab.say(words().shell.stopped);
      // A bad picture stays bad: trying again helps with everything else.
      else this.#notice.show(error, error.code === "picture" ? undefined : () => this.take(file));
    }
  }

  async #run(): Promise<void> {
    const world = this.#world;
    if (this.#running || !world) return;
    const text = words().map;
    this.#notice.clear();
    try {
      const request = this.#controls.request();
      const entry = this.#lab.model.classes.find(({ name }) => name === request.class)!;
      const film = new Film(entry.name, words().generate.label(entry.label), request.seed, world.projection, (latents) => world.standardise(latents));
      const signal = this.#begin(text.running);
      const { client, manifest } = this.#lab;
      await this.#fits(world, signal);
      const { pictures } = await client.generate(manifest, [request], signal, {
        onProgress: (progress) => this.#task.progress(progress),
        onStep: (step) => {
          this.#task.step(step);
          if (this.#film !== film) {
            this.#film = film;
            this.#controls.length = 0;
          }
          film.add(step);
          this.#controls.length = film.stops.length;
          if (film.stops.length === 1) this.#look(0);
        },
      });
      const last = film.stops.at(-1);
      if (last && pictures) last.picture = pictures[0]!;
      this.#end();
      if (last) this.#look(film.stops.length - 1);
      if (last) this.#lab.say(pictures ? text.arrived(world.nearest) : text.stoppedAt(number(last.index), number(last.of)));
      else this.#lab.say(words().shell.stopped);
    } catch (thrown) {
      this.#end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#lab.say(words().shell.stopped);
      else this.#notice.show(error, () => void this.#run());
    }
  }

  #begin(said: string): AbortSignal {
    this.#running = true;
    this.#notice.clear();
    const focused = document.activeElement === this.#controls.go;
    const signal = this.#task.begin(said);
    this.#controls.go.setAttribute("aria-disabled", "true");
    this.element.classList.add("running");
    if (focused) this.#task.focus();
    return signal;
  }

  #end(): void {
    this.#running = false;
    this.#controls.go.removeAttribute("aria-disabled");
    this.element.classList.remove("running");
    this.#task.end();
    if (this.#notice.code === "busy") this.#notice.clear();
  }

  /** Makes the model ready, and sees that the map is of latents like its. */
  async #fits(world: World, signal: AbortSignal): Promise<void> {
    const { client, manifest } = this.#lab;
    const { latentTokens, latentChannels } = await client.prepare(manifest, signal, { onProgress: (progress) => this.#task.progress(progress) });
    if (latentTokens * latentChannels !== world.width) throw new PageError("map", words().map.otherModel, words().map.damagedAdvice);
  }

  /** Looks at a step of the run, and gets its picture if it was not shown on the way. */
  #look(index: number): void {
    const film = this.#film;
    const stop = film?.stops[index];
    if (!film || !stop) return;
    this.#world?.showRun(film, index);
    this.#controls.describe(words().map.step(number(stop.index), number(stop.of)));
    this.#offerPicture();
    if (!stop.picture && !this.#running) void this.#decode(film, index);
  }

  /** One at a time; if another step is looked at meanwhile, that one's next. */
  async #decode(film: Film, index: number): Promise<void> {
    if (this.#decoding) return;
    this.#decoding = true;
    const stop = film.stops[index]!;
    try {
      const { pictures } = await this.#lab.client.decode(this.#lab.manifest, stop.latents);
      stop.picture = pictures[0] ?? null;
    } catch (thrown) {
      const error = asMaetokError(thrown);
      if (error.code !== "cancelled") this.#notice.show(error);
      return;
    } finally {
      this.#decoding = false;
    }
    if (this.#film === film && stop.picture) this.#look(this.#controls.at);
  }

  #offerPicture(): void {
    this.#savePicture.hidden = !this.#world?.picture;
  }

  async #saveMap(): Promise<void> {
    const file = await this.#world?.png();
    if (!file) return;
    save(file, `${words().map.fileName}.png`);
    this.#lab.say(words().shell.saved);
  }

  async #saveChosen(): Promise<void> {
    const chosen = this.#world?.picture;
    if (!chosen) return;
    try {
      save(await this.#lab.client.png(chosen.picture), `${chosen.name}.png`);
      this.#lab.say(words().shell.saved);
    } catch (thrown) {
      this.#notice.show(asMaetokError(thrown));
    }
  }
}
