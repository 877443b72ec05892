/** The benchmark: asks the engine to time itself, part by part, so that there is a bar and a way to stop. */

import { asMaetokError } from "../../errors.ts";
import { duration, number } from "../../format.ts";
import { bind, isValid } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { Notice } from "../../ui/notice.ts";
import { Task } from "../../ui/task.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";
import type { Lab } from "../panel.ts";
import { part } from "./facts.ts";
import { asFigures, type Measured, type Route, type Row, rows } from "./figures.ts";

/** Least length of a time in seconds: browsers' clocks move in steps. */
const AT_LEAST = 0.2;

/** Linear layers of full-size models, MAETok-B's and SiT-XL's: the ones of `web/bench/browsers.mjs`. */
const LAYERS = [[385, 768, 3072], [128, 1152, 4608]];

interface Part {
  route: Route;
  request: Record<string, unknown>;
}

export class BenchPart {
  readonly #lab: Lab;
  readonly #copy: (text: string) => Promise<void>;
  readonly #runs = h("input", { id: "bench-runs", type: "number", min: 1, max: 20 });
  readonly #compare = h("input", { id: "bench-compare", type: "checkbox" });
  readonly #go = h("button", { type: "submit" }, words().diagnosis.bench.go);
  readonly #hint = h("p", { class: "hint" }, words().diagnosis.bench.stopHint);
  readonly #task: Task;
  readonly #notice: Notice;
  readonly #said = h("p", { class: "hint" }, words().diagnosis.bench.none);
  readonly #table = h("div", { class: "table", hidden: true, role: "region", tabindex: 0, "aria-label": words().diagnosis.bench.results });
  readonly #copyButton = h("button", { type: "button", class: "quiet", hidden: true }, words().diagnosis.bench.copy);
  readonly element: HTMLElement;
  /** What the report has of it. */
  measured: Measured[] = [];

  constructor(lab: Lab, copy: (text: string) => Promise<void>) {
    this.#lab = lab;
    this.#copy = copy;
    this.#task = new Task(lab.say, this.#go);
    this.#notice = new Notice(this.#go);
    const text = words().diagnosis.bench;
    const form = h(
      "form",
      { novalidate: true, class: "bench" },
      h("div", { class: "setting" }, h("label", { for: "bench-runs" }, text.runs), this.#runs),
      h("label", { class: "toggle" }, this.#compare, text.compare),
      h("div", { class: "action" }, this.#go, this.#task.element),
    );
    form.addEventListener("submit", (event) => (event.preventDefault(), void this.#measure()));
    this.#copyButton.addEventListener("click", () => void this.#copy(JSON.stringify(this.measured, null, 2)));
    bind(this.#runs, "machine", "runs", lab.store, lab.signal);
    bind(this.#compare, "machine", "compare", lab.store, lab.signal);
    this.element = part("bench", text.title, h("p", { class: "hint" }, text.lead), this.#notice.element, form, this.#hint, this.#said, this.#table, h("div", { class: "buttons" }, this.#copyButton));
  }

  async #measure(): Promise<void> {
    const text = words().diagnosis.bench;
    if (!isValid(this.#runs)) return this.#notice.show(new PageError("setting", text.badRuns(this.#runs.value.slice(0, 30))));
    this.#notice.clear();
    const { runs, compare } = this.#lab.store.get().machine;
    const signal = this.#task.begin(text.preparing);
    this.#go.hidden = true;
    this.#task.focus();
    this.measured = [];
    this.#show();
    this.#said.textContent = "";
    try {
      const { client, manifest } = this.#lab;
      await client.prepare(manifest, signal, { onProgress: (progress) => this.#task.progress(progress) });
      const { device } = await client.device();
      const parts = plan(runs, compare, device?.kind === "wgpu");
      for (const [i, { route, request }] of parts.entries()) {
        this.#task.part(text.part(number(i + 1), number(parts.length)), i, parts.length);
        const figures = asFigures(await client.bench(manifest, { ...request, route }, signal));
        this.measured.push({ route, figures });
        this.#show();
      }
      this.#end(text.done(duration(this.#task.end())));
    } catch (thrown) {
      this.#task.end();
      const error = asMaetokError(thrown);
      if (error.code === "cancelled") this.#end(this.measured.length > 0 ? text.stopped : words().shell.stopped);
      else this.#notice.show(error, () => void this.#measure());
    } finally {
      const focused = document.activeElement === document.body;
      this.#go.hidden = false;
      if (focused) this.#go.focus();
    }
  }

  #end(said: string): void {
    this.#said.textContent = said;
    this.#lab.say(said);
  }

  #show(): void {
    const text = words().diagnosis.bench;
    const found = rows(this.measured);
    this.#table.hidden = this.#copyButton.hidden = found.length === 0;
    if (found.length === 0) return;
    const rated = found.some(({ rate }) => rate !== null);
    const compared = found.some(({ plain }) => plain !== null);
    const heads = [text.work, text.median, text.spread, rated && text.rate, compared && text.plain, compared && text.ratio].filter((head) => head !== false);
    this.#table.replaceChildren(
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, ...found.map((row) => line(row, rated, compared))),
      ),
    );
  }
}

function line({ name, median, fastest, slowest, rate, plain }: Row, rated: boolean, compared: boolean): HTMLElement {
  const text = words().diagnosis.bench;
  // On a phone each value stands under its name.
  const cell = (label: string, value: string) => h("td", { "data-label": label }, value);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, named(name)),
    h("td", { "data-label": text.median }, h("strong", {}, time(median))),
    cell(text.spread, `${time(fastest)} – ${time(slowest)}`),
    rated && cell(text.rate, rate ? `${number(rate[0], rate[0] < 10 ? 2 : 1)} ${rate[1]}` : "–"),
    compared && cell(text.plain, plain === null ? "–" : time(plain)),
    compared && cell(text.ratio, plain === null ? "–" : text.times(number(plain / median, 2))),
  );
}

/** Two digits that mean something, whatever the size. */
function time(ms: number): string {
  if (ms >= 950) return duration(ms);
  return `${number(ms, ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

function named(name: string): string {
  const { names } = words().diagnosis.bench;
  const known: Record<string, string> = {
    encode: names.encode,
    decode: names.decode,
    step: names.step,
    "picture of 25 steps": names.picture,
    "multiply-adds": names.adds,
    "multiply-adds, as matrices times vectors": names.matrix,
    copy: names.copy,
  };
  const linear = /^linear (.*)$/.exec(name)?.[1];
  return linear ? names.linear(linear.replaceAll(" x ", " × ")) : (known[name] ?? name);
}

/** The model first: it is what people wait for. */
function plan(runs: number, compare: boolean, gpu: boolean): Part[] {
  const measure = { runs, at_least: AT_LEAST };
  const routes: Route[] = compare ? ["by-adapter", "plain"] : ["by-adapter"];
  return [
    ...routes.map((route) => ({ route, request: { ...measure, model: true } })),
    ...routes.map((route) => ({ route, request: { ...measure, layers: LAYERS } })),
    ...(gpu ? [{ route: "by-adapter" as const, request: { ...measure, roofs: true } }] : []),
  ];
}
