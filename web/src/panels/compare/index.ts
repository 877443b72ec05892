/** The same noise under different settings, side by side; and one picture through different tokenizers. */

import "../../style/mix.css";
import "../../style/compare.css";
import { asMaetokError, cancelled } from "../../errors.ts";
import { duration, number } from "../../format.ts";
import { joined } from "../../latents.ts";
import type { Latents, Picture, StepReport } from "../../protocol.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { ClassSelect } from "../../ui/classes.ts";
import { h } from "../../ui/dom.ts";
import type { Settings } from "../../state/state.ts";
import { Latest } from "../../ui/latest.ts";
import { boundSegments } from "../../ui/segments.ts";
import type { Task } from "../../ui/task.ts";
import { Work } from "../../ui/work.ts";
import { keepPicture } from "../mix/keep.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab, Panel } from "../panel.ts";
import { Chart } from "./chart.ts";
import { Column } from "./column.ts";
import { explainCompare } from "./explain.ts";
import { COLUMNS, type ColumnNumber } from "./fields.ts";
import { findings } from "./findings.ts";
import { patchOf, type PresetName, PRESETS, used } from "./presets.ts";
import { Tokenizers } from "./tokenizers.ts";
import { aligned, at, type Distance, distanceAt, fromEnd, fromOther, type Point, pointsOf, type Trajectory } from "./trajectory.ts";

export function create(lab: Lab): Panel {
  return new Compare(lab);
}

/** A column that has been run. */
interface Ran {
  column: Column;
  run: Trajectory;
  summary: string;
  distances: Distance[];
}

class Compare implements Panel {
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #work: Work;
  readonly #columns: Column[];
  readonly #class: ClassSelect;
  readonly #seed = h("input", { id: "compare-seed", type: "text", inputmode: "numeric", autocomplete: "off" });
  readonly #results = h("div", { class: "compared", hidden: true });
  readonly #chart: Chart;
  readonly #readout = h("ul", { class: "readout" });
  readonly #table = h("div", { class: "findings" });
  readonly #timeValue = h("output", { for: "compare-time" });
  readonly #tokenizers: Tokenizers;
  readonly #settings: HTMLElement;
  readonly #grid: HTMLElement;
  readonly #figures: HTMLElement;
  /** What can be said once all have ended. */
  readonly #analysis: HTMLElement;
  readonly #decode: Latest<null>;
  readonly #paint: Latest<null>;
  /** Pictures of latents that have been looked at. */
  readonly #pictures = new WeakMap<Latents, Picture>();
  #ran: Ran[] = [];
  #key = "";
  /** What the runs were asked for, which may have been changed since. */
  #asked: Settings["compare"] | undefined;

  constructor(lab: Lab) {
    this.#lab = lab;
    const { store, signal, model } = lab;
    const text = words().compare;
    this.#work = new Work(text.go, lab.say, () => void this.#work.run((signal, task) => this.#run(signal, task)).then(() => this.#settle()));
    const { notice } = this.#work;
    const refuse = (error: PageError) => notice.show(error);
    this.#decode = new Latest(() => this.#decodeShown());
    this.#paint = new Latest(() => this.#paintShown());
    this.#class = new ClassSelect({ part: "compare", name: "class", id: "compare-class", classes: model.classes, usual: model.classes[0]!, store, signal, refuse });
    bind(this.#seed, "compare", "seed", store, signal);
    const dice = h("button", { type: "button", class: "dice", title: words().generate.dice, "aria-label": words().generate.dice }, "⚄");
    dice.addEventListener("click", () => store.set({ compare: { seed: String(crypto.getRandomValues(new Uint32Array(1))[0]! % 1_000_000) } }));
    this.#columns = COLUMNS.map((n) => new Column(lab, n, refuse, (column) => this.#save(column)));
    const presets = (Object.keys(PRESETS) as PresetName[]).map((name) => h("button", { type: "button", class: "quiet", onclick: () => this.#preset(name) }, text.presets[name]));
    const count = boundSegments("compare", "columns", text.columns, { "2": "2", "3": "3", "4": "4" }, store, signal);
    this.#grid = h("div", { class: "columns-grid" }, ...this.#columns.map(({ settings }) => settings));
    this.#settings = h(
      "div",
      { class: "compare-settings" },
      h(
        "div",
        { class: "settings shared" },
        h("div", { class: "setting" }, h("label", { for: "compare-class" }, text.shared), this.#class.element),
        h("div", { class: "setting" }, h("label", { for: "compare-seed" }, words().mix.seed), h("div", { class: "joined" }, this.#seed, dice)),
        count.element,
      ),
      h("div", { class: "buttons", role: "group", "aria-label": text.presetsLabel }, h("span", { class: "hint" }, text.presetsLabel), ...presets),
      this.#grid,
    );

    const slider = h("input", { type: "range", id: "compare-time", class: "towards-zero", min: 0, max: 1, step: 0.01 });
    bind(slider, "compare", "time", store, signal);
    const view = boundSegments("compare", "view", text.view, text.views, store, signal);
    const to = boundSegments("compare", "to", text.to, text.tos, store, signal);
    this.#chart = new Chart((time) => store.set({ compare: { time } }), signal);
    this.#figures = h("div", { class: "column-figures" }, ...this.#columns.map(({ figure }) => figure));
    this.#analysis = h(
      "div",
      { class: "compared", hidden: true },
      h(
        "div",
        { class: "setting" },
        h("label", { for: "compare-time" }, text.time, h("span", { class: "term" }, ` ${text.timeTerm}`)),
        h("div", { class: "joined" }, h("span", { class: "hint", "aria-hidden": "true" }, text.noise), slider, h("span", { class: "hint", "aria-hidden": "true" }, text.picture), this.#timeValue),
      ),
      h("div", { class: "view-controls" }, view.element, to.element),
      h("h3", {}, text.curves),
      this.#chart.element,
      this.#readout,
      this.#table,
    );
    this.#results.append(this.#figures, this.#analysis);
    this.#tokenizers = new Tokenizers(lab);
    const what = boundSegments("compare", "what", text.what, text.whats, store, signal, false);
    this.element = h(
      "section",
      { class: "card compare", "aria-labelledby": "compare-title" },
      h("h2", { id: "compare-title" }, text.title),
      h("p", { class: "lead" }, text.intro),
      what.element,
      this.#settings,
      this.#work.element,
      this.#results,
      this.#tokenizers.element,
      explainCompare(),
    );
    this.#settings.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target instanceof HTMLInputElement && event.target.matches("[type=text], [type=number]")) this.#work.go.click();
    });
    store.subscribe((state, before) => {
      this.#show();
      const now = state.compare;
      const was = before.compare;
      if (now.time !== was.time || now.view !== was.view) this.#look();
      if (now.view !== was.view || now.to !== was.to) this.#draw();
    }, signal);
    this.#show();
  }

  take(file: File): boolean {
    return this.#lab.store.get().compare.what === "tokenizers" && this.#tokenizers.take(file);
  }

  #preset(name: PresetName): void {
    this.#lab.store.set({ compare: patchOf(name) });
    this.#lab.say(words().compare.presetSet(words().compare.presets[name]));
  }

  async #run(signal: AbortSignal, task: Task): Promise<string> {
    const { store } = this.#lab;
    const shared = this.#class.chosen;
    if (!shared) throw new PageError("setting", words().generate.noClass, words().generate.noClassAdvice);
    if (!isValid(this.#seed)) throw new PageError("setting", words().generate.badSeed(this.#seed.value.trim().slice(0, 30)));
    const { compare } = store.get();
    const columns = this.#used();
    // All that can be wrong is said before anything is computed.
    const requests = columns.map((column) => column.request(shared, compare.seed));
    const summaries = columns.map((column) => column.summary());
    const key = this.#settingsKey();
    const total = requests.reduce((sum, { steps }) => sum + steps, 0);
    let taken = 0;
    const began = performance.now();
    const ran: Ran[] = [];
    this.#results.hidden = false;
    for (const [i, request] of requests.entries()) {
      const column = columns[i]!;
      const steps: StepReport[] = [];
      const { pictures, timing, resumed } = await this.#lab.client.generate(this.#lab.manifest, [request], signal, {
        onProgress: (progress) => task.progress(progress),
        onStep: (step) => {
          steps.push(step);
          task.step({ ...step, index: taken + step.index, of: total });
          const picture = step.cleanPictures?.[0];
          if (!picture) return;
          this.#pictures.set(step.clean, picture);
          column.frame.show(picture, words().compare.guessAt(number(step.t, 2)));
          column.caption.textContent = words().compare.guessAt(number(step.t, 2));
        },
      });
      if (!pictures) throw cancelled();
      taken += request.steps;
      // Where a lost device interrupted it, the steps that were timed stand for the others.
      const ms = (timing.steps * request.steps) / Math.max(1, request.steps - resumed);
      const run = { request, ...pointsOf(steps), picture: pictures[0]!, ms };
      this.#pictures.set(run.state.at(-1)!.latents, run.picture);
      ran.push({ column, run, summary: summaries[i]!, distances: [] });
      column.frame.show(run.picture, words().compare.finished);
      column.caption.textContent = words().compare.finished;
    }
    this.#ran = ran;
    this.#key = key;
    this.#asked = compare;
    this.#draw();
    this.#look();
    this.#show();
    return words().compare.done(number(ran.length), duration(performance.now() - began));
  }

  /** After a run that was stopped or failed, the one before is shown again. */
  #settle(): void {
    this.#show();
    this.#put();
    // On a phone the pictures would stay below the window.
    if (this.#ran.length > 0 && window.matchMedia("(max-width: 44rem)").matches) this.#figures.scrollIntoView({ block: "nearest" });
  }

  #used(): Column[] {
    const numbers: readonly ColumnNumber[] = used(this.#lab.store.get().compare);
    return this.#columns.filter(({ n }) => numbers.includes(n));
  }

  /** All settings that a run depends on. */
  #settingsKey(): string {
    const { time, view, to, what, ...rest } = this.#lab.store.get().compare;
    return JSON.stringify(rest);
  }

  #show(): void {
    const { compare } = this.#lab.store.get();
    const settings = compare.what === "settings";
    const numbers = used(compare);
    for (const { n, settings, figure } of this.#columns) {
      settings.hidden = !numbers.includes(n);
      figure.hidden = !numbers.includes(n);
    }
    for (const grid of [this.#grid, this.#figures]) grid.dataset.columns = compare.columns;
    this.#settings.hidden = this.#work.element.hidden = !settings;
    this.#results.hidden = !settings || (this.#ran.length === 0 && !this.#work.running);
    this.#analysis.hidden = this.#ran.length === 0;
    this.#tokenizers.element.hidden = settings;
    if (!settings) void this.#tokenizers.look();
    this.#timeValue.textContent = `t = ${number(compare.time, 2)}`;
    const stale = this.#ran.length > 0 && this.#key !== this.#settingsKey();
    this.element.classList.toggle("outdated", stale);
    if (stale && !this.#work.running) this.#work.tell(words().mix.stale(words().compare.go));
  }

  /** The points of each run that are looked at now. */
  #points(): { ran: Ran; point: Point }[] {
    const { time, view } = this.#lab.store.get().compare;
    return this.#ran.flatMap((ran) => {
      const point = at(ran.run[view], time);
      return point ? [{ ran, point }] : [];
    });
  }

  /** Shows what there is of the time looked at; what has no picture yet gets one. */
  #look(): void {
    this.#chart.time = this.#lab.store.get().compare.time;
    this.#read();
    this.#put();
    if (this.#points().some(({ point }) => !this.#pictures.has(point.latents))) void this.#decode.ask(null);
  }

  /** Captions at once; the pictures as fast as they can be painted. */
  #put(): void {
    for (const { ran, point } of this.#points()) if (this.#pictures.has(point.latents)) ran.column.caption.textContent = this.#captionOf(point);
    void this.#paint.ask(null);
  }

  /** A picture at a time, so that a slider that is drawn is never kept waiting. */
  async #paintShown(): Promise<void> {
    for (const { ran, point } of this.#points()) {
      const picture = this.#pictures.get(point.latents);
      if (!picture || ran.column.frame.picture === picture) continue;
      ran.column.frame.show(picture, `${words().compare.column(String(ran.column.n))}: ${this.#captionOf(point)}`);
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  #captionOf({ t }: Point): string {
    const text = words().compare;
    if (t === 0) return text.finished;
    return this.#lab.store.get().compare.view === "clean" ? text.guessAt(number(t, 2)) : text.stateAt(number(t, 2));
  }

  async #decodeShown(): Promise<void> {
    const { client, manifest, signal } = this.#lab;
    const missing = [...new Set(this.#points().map(({ point }) => point.latents))].filter((latents) => !this.#pictures.has(latents));
    if (missing.length === 0) return;
    try {
      const { pictures } = await client.decode(manifest, joined(missing), false, signal);
      missing.forEach((latents, i) => this.#pictures.set(latents, pictures[i]!));
      this.#put();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** The curves of what is looked at. */
  #draw(): void {
    if (this.#ran.length === 0) return;
    const { view, to } = this.#lab.store.get().compare;
    const unit = this.#lab.model.latentStd;
    const numbered = this.#ran.map(({ column, run, summary }) => ({ n: column.n, run, summary }));
    const from = (to === "last" ? numbered.at(-1) : numbered[0])!;
    this.#table.replaceChildren(findings(numbered, from, unit));
    for (const ran of this.#ran) ran.distances = to === "end" ? fromEnd(ran.run, view, unit) : fromOther(ran.run, from.run, view, unit);
    const { times, columns } = aligned(this.#ran.map(({ distances }) => distances));
    const text = words().compare;
    this.#chart.show({ times, columns: this.#ran.map(({ column }, i) => ({ n: column.n, values: columns[i]! })) }, text.chart(text.views[view], text.tos[to]));
    this.#read();
  }

  /** The curves' values at the time looked at. */
  #read(): void {
    const { time } = this.#lab.store.get().compare;
    const text = words().compare;
    this.#readout.replaceChildren(
      ...this.#ran.map(({ column, distances, summary }) => {
        const value = distanceAt(distances, time);
        const { n } = column;
        return h("li", {}, h("span", { class: `swatch ink-${n}`, "aria-hidden": "true" }), `${text.column(String(n))}, ${summary}: `, ...(value === null ? [text.unknown] : [h("strong", {}, number(value, 3)), ` ${text.deviations}`]));
      }),
    );
  }

  #save({ n, frame }: Column): void {
    if (!frame.picture) return;
    const ran = this.#ran.find(({ column }) => column.n === n);
    if (!ran) return;
    const { class: name, seed, sampler, steps, guidance } = ran.run.request;
    keepPicture(this.#lab, "compare", frame.picture, `compare-${n}-${name}-seed${seed}-${sampler}-${steps}steps-guidance${guidance}.png`, this.#work.notice, this.#asked);
  }

  #fail(thrown: unknown): void {
    const error = asMaetokError(thrown);
    if (error.code !== "cancelled") this.#work.notice.show(error);
  }
}
