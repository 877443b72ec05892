/** What is compared: a class and a seed that all columns share, and what each column does with them. */

import { choice, decimal, type Fields, seed, text, whole } from "../../state/schema.ts";

const className = () => text("", /|[\p{L}\p{N}][\p{L}\p{N}\p{M} .,'_()-]{0,79}/u);

/** As many columns as there can be. */
export const COLUMNS = [1, 2, 3, 4] as const;

export type ColumnNumber = (typeof COLUMNS)[number];

type Sampler = "euler" | "heun" | "sde";

/** The fields of one column. */
function column(sampler: Sampler) {
  return {
    sampler: choice<Sampler>(sampler, ["euler", "heun", "sde"]),
    steps: whole(25, 1, 1000),
    guidance: decimal(2, 1, 20, 2),
    /** The times between which guidance acts. */
    low: decimal(0, 0, 1, 2),
    high: decimal(1, 0, 1, 2),
    /** Empty for the class that all share. */
    class: className(),
  };
}

type Numbered<F extends Fields, N extends ColumnNumber> = { [K in keyof F & string as `${K}${N}`]: F[K] };

/** Fields with the column's number after their names: a state has no lists of fields. */
function numbered<F extends Fields, N extends ColumnNumber>(n: N, fields: F): Numbered<F, N> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [`${name}${n}`, field])) as Numbered<F, N>;
}

export const fields = {
  /** Settings of the generator, or tokenizers on one picture. */
  what: choice("settings", ["settings", "tokenizers"]),
  class: className(),
  seed: seed("1"),
  columns: choice("3", ["2", "3", "4"]),
  ...numbered(1, column("euler")),
  ...numbered(2, column("heun")),
  ...numbered(3, column("sde")),
  ...numbered(4, column("euler")),
  /** What is looked at: the time, the guess or the state, and from what distances are taken. */
  time: decimal(0, 0, 1, 2),
  view: choice("clean", ["clean", "state"]),
  to: choice("first", ["first", "last", "end"]),
};
