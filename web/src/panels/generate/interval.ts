/** The times between which guidance acts: two handles on the time axis, before the path of the model at hand. */

import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { Range2 } from "../../ui/range2.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { drawPath } from "./path.ts";

/** Runs go from t = 1 to t = 0, and so does the axis; the handles count from its left end. */
const STEP = 0.01;

export function interval({ store, model, signal }: Lab): HTMLElement {
  const text = words().generate.interval;
  const round = (value: number) => Math.round(value * 1000) / 1000;
  const range = new Range2({
    id: "interval",
    label: text.name,
    first: text.begin,
    second: text.end,
    min: 0,
    max: 1,
    step: STEP,
    describe: (along) => text.at(number(1 - along, 2)),
    change: (first, second) => store.set({ generate: { high: round(1 - first), low: round(1 - second) } }),
    backdrop: drawPath(model.path),
  });
  const value = h("output", { class: "interval-value" });
  const show = () => {
    const { low, high, guidance } = store.get().generate;
    range.set(1 - high, 1 - low);
    value.textContent = guidance === 1 ? text.off : low === 0 && high === 1 ? text.always : low === high ? text.moment(number(low, 2)) : text.between(number(high, 2), number(low, 2));
  };
  // A link may give them the wrong way round.
  const order = () => {
    const { low, high } = store.get().generate;
    if (low > high) store.set({ generate: { low: high, high: low } }, { undoable: false });
  };
  store.subscribe((state, before) => {
    if (state.generate === before.generate) return;
    order();
    show();
  }, signal);
  order();
  show();
  return h(
    "div",
    { class: "setting wide interval" },
    h("div", { class: "heading" }, h("span", { class: "label" }, text.name, " ", h("span", { class: "term" }, text.term)), value),
    range.element,
    h("div", { class: "axis" }, h("span", {}, text.noise), h("span", { class: "curves" }, h("span", { class: "alpha" }, text.alpha), h("span", { class: "sigma" }, text.sigma)), h("span", {}, text.picture)),
    h("p", { class: "hint" }, text.hint),
  );
}
