/** Ways between two latents, between two classes, and back from half the noise, in formulas. */

import { explain, paper } from "../../ui/explain.ts";
import { formula, fraction, row, sub } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

export function explainMix(): HTMLElement {
  const { title, source, mix: text } = words().explain;
  const z = (side: string) => sub("z", side);
  return explain(
    title,
    [text.between, formula("z", "=", "(", "1", "−", "s", ")", z("A"), "+", "s", z("B"))],
    // Short ones, for phones.
    [text.circle, formula("z", "=", "α", z("A"), "+", "β", z("B"), ","), formula("α", "=", fraction(row("sin", "(", "1", "−", "s", ")", "θ"), row("sin", "θ")), ","), formula("β", "=", fraction(row("sin", "s", "θ"), row("sin", "θ")))],
    text.tokens,
    [text.walk, formula("c", "=", "(", "1", "−", "s", ")", sub("c", "A"), "+", "s", sub("c", "B"))],
    [text.edit, formula(sub("x", "t"), "=", "(", "1", "−", "t", ")", "x", "+", "t", "ε"), text.editEnd],
    [`${source} `, paper("Chen et al. 2025, MAETok", "2502.03444", "3"), "; ", paper("Ma et al. 2024, SiT", "2401.08740", "2"), "; ", paper("Meng et al. 2021, SDEdit", "2108.01073"), "; Shoemake 1985, slerp."],
  );
}
