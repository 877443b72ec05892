/** Curves over the time of the path, from noise on the left to the picture on the right; a press on them chooses a time. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { number } from "../../format.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";

const HEIGHT = 260;

/** Lines that are told apart without their colours, too. */
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

const FONT = "12px system-ui, sans-serif";

/** Digits after the point that tell the marks of an axis apart. */
function digits(ticks: readonly number[]): number {
  const step = (ticks[1] ?? 1) - (ticks[0] ?? 0);
  const isWhole = (value: number) => Math.abs(value - Math.round(value)) < 1e-6;
  return [0, 1, 2, 3].find((count) => isWhole(step * 10 ** count)) ?? 4;
}

export interface Curves {
  /** Rising. */
  times: number[];
  /** One for each column, by its number, which says its colour. */
  columns: { n: number; values: (number | null)[] }[];
}

export class Chart {
  readonly element = h("div", { class: "chart", role: "img" });
  readonly #choose: (time: number) => void;
  #plot: uPlot | null = null;
  #time = 0;
  /** Colours by class, as the style sheet has them for the present scheme: a canvas does not know its variables. */
  readonly #inks = new Map<string, HTMLElement>();

  constructor(choose: (time: number) => void, signal: AbortSignal) {
    this.#choose = choose;
    for (const name of ["ink-1", "ink-2", "ink-3", "ink-4", "ink-axis", "ink-grid", "ink-now"]) {
      const ink = h("span", { class: name, hidden: true });
      this.#inks.set(name, ink);
      this.element.append(ink);
    }
    const observer = new ResizeObserver(() => this.#plot?.setSize({ width: this.#width, height: HEIGHT }));
    observer.observe(this.element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", () => this.#plot?.redraw(), { signal });
    signal.addEventListener("abort", () => (observer.disconnect(), this.#plot?.destroy()), { once: true });
  }

  /** `label` says what is drawn, for those who do not see it. */
  show({ times, columns }: Curves, label: string): void {
    this.element.setAttribute("aria-label", label);
    this.#plot?.destroy();
    const axis = { stroke: () => this.#ink("ink-axis"), font: FONT, labelFont: FONT, grid: { stroke: () => this.#ink("ink-grid"), width: 1 }, ticks: { stroke: () => this.#ink("ink-grid"), width: 1 } };
    const { axisTime, axisDistance } = words().compare;
    this.#plot = new uPlot(
      {
        width: this.#width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: false, dir: -1, range: [0, 1] }, y: { range: (_, __, most) => [0, Math.max(most * 1.08, 0.01)] } },
        axes: [
          { ...axis, label: axisTime, labelSize: 20, size: 34, values: (_, ticks) => ticks.map((tick) => number(tick, 1)) },
          { ...axis, label: axisDistance, labelSize: 20, size: 48, values: (_, ticks) => ticks.map((tick) => number(tick, digits(ticks))) },
        ],
        series: [{}, ...columns.map(({ n }) => ({ stroke: () => this.#ink(`ink-${n}`), width: 2, dash: DASHES[n - 1]!, spanGaps: true, points: { show: false } }))],
        hooks: { draw: [(plot) => this.#mark(plot)] },
      },
      [times, ...columns.map(({ values }) => values)],
      this.element,
    );
    const { over } = this.#plot;
    const pick = (event: PointerEvent) => {
      if (event.buttons !== 1 || !this.#plot) return;
      const time = this.#plot.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
      this.#choose(Math.min(Math.max(time, 0), 1));
    };
    over.addEventListener("pointerdown", pick);
    over.addEventListener("pointermove", pick);
  }

  /** Where the pictures are from. */
  set time(time: number) {
    this.#time = time;
    this.#plot?.redraw(false);
  }

  get #width(): number {
    return Math.max(160, this.element.clientWidth);
  }

  #ink(name: string): string {
    return getComputedStyle(this.#inks.get(name)!).color;
  }

  #mark({ ctx, bbox, valToPos }: uPlot): void {
    const x = Math.round(valToPos(this.#time, "x", true));
    ctx.save();
    // The last curve's dashes are still set.
    ctx.setLineDash([]);
    ctx.strokeStyle = this.#ink("ink-now");
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }
}
