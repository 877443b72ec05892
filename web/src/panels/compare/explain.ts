/** What is the same in all columns, and how their distances are measured, in formulas. */

import { explain, paper } from "../../ui/explain.ts";
import { formula, fraction, hat, root, row, sub, sup } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

export function explainCompare(): HTMLElement {
  const { title, source, compare: text } = words().explain;
  const squares = row(fraction("1", "n"), "Σ", sup(row("(", sub("a", "i"), "−", sub("b", "i"), ")"), "2"));
  return explain(
    title,
    text.same,
    [text.samplers, formula("x", "←", "x", "−", "Δt", "u", "+", root("w", "Δt"), "ε", ","), formula("u", "=", "v", "−", fraction("w", "2"), sub("∇", "x"), "log", "p")],
    [text.distance, formula("d", row("(", "a", ",", "b", ")"), "=", fraction("1", "s"), root(squares))],
    [text.own, formula(sub(hat("x"), "0"), "=", sub("x", "t"), "−", "t", "v")],
    [`${source} `, paper("Ma et al. 2024, SiT", "2401.08740", "2"), "; ", paper("Karras et al. 2022, EDM", "2206.00364", "3"), "; ", paper("Chen et al. 2025, MAETok", "2502.03444", "4"), "."],
  );
}
