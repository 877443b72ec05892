/** What a picture costs, in formulas. */

import { explain, paper } from "../../ui/explain.ts";
import { formula, fraction, row, sup } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

export function explainMachine(): HTMLElement {
  const { title, source, machine: text } = words().explain;
  return explain(
    title,
    [text.cost, formula("FLOP", "≈", "24", "L", sup("d", "2"), "+", "4", sup("L", "2"), "d")],
    text.short,
    [text.rate, formula("R", "=", fraction(row("2", "M", "K", "N"), "t"))],
    text.ratio,
    text.safety,
    [`${source} `, paper("Chen et al. 2025, MAETok", "2502.03444", "4"), "; ", paper("Ma et al. 2024, SiT", "2401.08740", "4"), "."],
  );
}
