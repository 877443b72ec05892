/** The last runs of this page and where their time went. */

import { duration, number } from "../../format.ts";
import type { Entry, Journal } from "../../journal.ts";
import { h } from "../../ui/dom.ts";
import { lang, words } from "../../words/index.ts";
import { part } from "./facts.ts";

/** As many as one looks at; the report has them all. */
const SHOWN = 12;

/** Phases shorter than this, in milliseconds, are not worth a word. */
const WORTH = 1;

export class TimesPart {
  readonly #journal: Journal;
  readonly #list = h("ol", { class: "runs", reversed: true });
  readonly #none = h("p", { class: "hint" }, words().diagnosis.times.none);
  readonly element = part("times", words().diagnosis.times.title, h("p", { class: "hint" }, words().diagnosis.times.lead), this.#none, this.#list);

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  show(): void {
    // That something was ready already is no run.
    const entries = this.#journal.entries.filter(({ what, phases }) => what !== "prepare" || phases.length > 0).slice(-SHOWN).reverse();
    this.#none.hidden = entries.length > 0;
    this.#list.hidden = entries.length === 0;
    this.#list.replaceChildren(...entries.map(item));
  }
}

function item(entry: Entry): HTMLElement {
  const at = new Intl.DateTimeFormat(lang(), { timeStyle: "medium" }).format(entry.at);
  return h(
    "li",
    {},
    h("div", { class: "run" }, h("span", { class: "what" }, what(entry)), h("strong", {}, entry.ms === null ? "…" : duration(entry.ms)), h("time", { class: "hint", datetime: new Date(entry.at).toISOString() }, at)),
    h("p", { class: "hint" }, details(entry).join(" · ")),
  );
}

function what(entry: Entry): string {
  return words().diagnosis.times.what[entry.what](number(entry.pictures), number(entry.of));
}

/** Parts of the time, then how it ended if it did not end well. */
export function details({ phases, timing, call, outcome, steps, of, resumed }: Entry): string[] {
  const text = words().diagnosis.times;
  const parts: string[] = [];
  if (resumed !== null) parts.push(text.resumed(number(resumed)));
  for (const [phase, ms] of phases) if (ms >= WORTH) parts.push(`${text.phases[phase]} ${duration(ms)}`);
  if (timing && steps > (resumed ?? 0)) {
    parts.push(text.step(duration(timing.steps / (steps - (resumed ?? 0)))));
    parts.push(text.previews(number(Math.round((100 * timing.previews) / Math.max(1e-9, timing.steps + timing.previews)))));
  }
  if (call !== null) parts.push(text.call(duration(call)));
  if (outcome === "running") parts.push(text.running);
  else if (outcome === "stopped") parts.push(of > 0 ? text.stopped(number(steps)) : text.stoppedEarly);
  else if (outcome === "device" && steps > 0) parts.push(text.lost(number(steps)));
  else if (outcome !== "done") parts.push(text.failed(outcome));
  return parts;
}
