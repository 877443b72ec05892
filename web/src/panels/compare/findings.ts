/** What the runs came to, in numbers: a table with a column for each. */

import { duration, number } from "../../format.ts";
import { distance } from "../../latents.ts";
import { h } from "../../ui/dom.ts";
import { pixelDifference } from "../../ui/sheet.ts";
import { words } from "../../words/index.ts";
import { questions, type Trajectory } from "./trajectory.ts";

export interface Finding {
  n: number;
  summary: string;
  run: Trajectory;
}

/** `from`: the column that differences are taken from; `unit`: the standard deviation of the latents. */
export function findings(columns: readonly Finding[], from: Finding, unit: number): HTMLElement {
  const text = words().compare;
  const first = from.run;
  const rows: [string, (finding: Finding) => string][] = [
    [text.rowSettings, ({ summary }) => summary],
    [text.rowQuestions, ({ run }) => number(questions(run.request, run.clean.slice(0, -1).map(({ t }) => t)))],
    [text.rowStep, ({ run }) => exact(run.ms / run.request.steps)],
    [text.rowAll, ({ run }) => duration(run.ms)],
    [text.rowLatent, ({ run }) => number(distance(run.state.at(-1)!.latents, first.state.at(-1)!.latents, unit), 3)],
    [text.rowMean, ({ run }) => number(pixelDifference(run.picture, first.picture).mean, 1)],
    [text.rowMost, ({ run }) => number(pixelDifference(run.picture, first.picture).most)],
  ];
  return h(
    "table",
    { class: "findings-table" },
    h("caption", {}, text.findings(String(from.n))),
    h("thead", {}, h("tr", {}, h("td", {}), ...columns.map(({ n }) => h("th", { scope: "col" }, h("span", { class: `swatch ink-${n}`, "aria-hidden": "true" }), text.columnShort(String(n)))))),
    h("tbody", {}, ...rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), ...columns.map((column) => h("td", {}, value(column)))))),
  );
}

/** A step may take less than the ten milliseconds that times are rounded to elsewhere. */
function exact(ms: number): string {
  return ms < 100 ? `${number(ms, 1)} ms` : duration(ms);
}
