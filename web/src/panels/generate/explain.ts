/** The path from noise to picture, in formulas. */

import { explain, paper } from "../../ui/explain.ts";
import { formula, hat, row, sub } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

export function explainGenerate(): HTMLElement {
  const { title, source, generate: text } = words().explain;
  const state = () => sub("x", "t");
  const velocity = (condition: string) => row("v", "(", state(), ",", "t", ",", condition, ")");
  return explain(
    title,
    [text.path, formula(state(), "=", "(", "1", "−", "t", ")", "x", "+", "t", "ε", ","), text.pathEnd],
    [
      text.step,
      formula(sub("x", row("t", "−", "Δt")), "=", state(), "−", "Δt", "v"),
      formula(sub(hat("x"), "0"), "=", state(), "−", "t", "v"),
    ],
    [text.guidance, formula("v", "=", velocity("∅"), "+", "w", "(", velocity("c"), "−", velocity("∅"), ")")],
    text.latent,
    [`${source} `, paper("Ma et al. 2024, SiT", "2401.08740", "2"), "; ", paper("Ho, Salimans 2022", "2207.12598"), "; ", paper("Chen et al. 2025, MAETok", "2502.03444", "3"), "."],
  );
}
