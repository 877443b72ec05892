/** What a map of latents shows, what it leaves out, and how distances are reckoned. */

import { explain, paper } from "../../ui/explain.ts";
import { formula, fraction, row, sub, sup } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

export function explainMap(): HTMLElement {
  const { title, source, map: text } = words().explain;
  return explain(
    title,
    [text.components, formula(sub("y", "k"), "=", sup(sub("u", "k"), "⊤"), "(", "z", "−", "μ", ")", ","), text.componentsEnd],
    [text.distance, formula(sup("d", "2"), "=", fraction("1", row("L", "C")), "∑", sup(row("(", sub("a", "i"), "−", sub("b", "i"), ")"), "2"))],
    text.run,
    text.space,
    [`${source} `, paper("Chen et al. 2025, MAETok", "2502.03444", "2"), "; ", paper("Ma et al. 2024, SiT", "2401.08740", "2"), "; PCA: Pearson 1901."],
  );
}
