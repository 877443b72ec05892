/** Comparisons that are worth a look, at one press. */

import type { Settings } from "../../state/state.ts";
import { COLUMNS, type ColumnNumber } from "./fields.ts";

type Compare = Settings["compare"];
export type ColumnSettings = { sampler: Compare["sampler1"]; steps: number; guidance: number; low: number; high: number; class: string };

const USUAL: ColumnSettings = { sampler: "euler", steps: 25, guidance: 2, low: 0, high: 1, class: "" };

export const PRESETS = {
  samplers: [{ sampler: "euler" }, { sampler: "heun" }, { sampler: "sde" }],
  steps: [{ steps: 5 }, { steps: 10 }, { steps: 25 }, { steps: 50 }],
  guidance: [{ guidance: 1 }, { guidance: 2 }, { guidance: 4 }],
  interval: [{ guidance: 4 }, { guidance: 4, low: 0.5 }, { guidance: 4, high: 0.5 }],
} as const satisfies Record<string, readonly Partial<ColumnSettings>[]>;

export type PresetName = keyof typeof PRESETS;

/** All that a preset sets, as one change. */
export function patchOf(name: PresetName): Partial<Compare> {
  const columns: readonly Partial<ColumnSettings>[] = PRESETS[name];
  // Of steps the finest is what the others come near to.
  const patch: Record<string, unknown> = { columns: String(columns.length), to: name === "steps" ? "last" : "first" };
  columns.forEach((column, i) => {
    for (const [key, value] of Object.entries({ ...USUAL, ...column })) patch[`${key}${i + 1}`] = value;
  });
  return patch as Partial<Compare>;
}

/** What a column is set to. */
export function settingsOf(compare: Compare, n: ColumnNumber): ColumnSettings {
  return { sampler: compare[`sampler${n}`], steps: compare[`steps${n}`], guidance: compare[`guidance${n}`], low: compare[`low${n}`], high: compare[`high${n}`], class: compare[`class${n}`] };
}

/** The numbers of the columns that are in use. */
export function used({ columns }: Compare): ColumnNumber[] {
  return COLUMNS.filter((n) => n <= Number(columns));
}
