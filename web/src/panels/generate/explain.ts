/** The path from noise to picture, in formulas. */

import type { ModelSummary } from "../../protocol.ts";
import { explain, paper } from "../../ui/explain.ts";
import { formula, fraction, hat, row, sub } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

/** `path`: of the model at hand, whose curves the interval's slider shows. */
export function explainGenerate(path: ModelSummary["path"]): HTMLElement {
  const { title, source, generate: text } = words().explain;
  const state = () => sub("x", "t");
  const velocity = (condition: string) => sub("v", condition);
  const angle = () => row("(", fraction(row("π", "t"), "2"), ")");
  const shares = path === "linear" ? [row("α", "=", "1", "−", "t", ",")] : [row("α", "=", "cos", angle(), ",")];
  const noise = path === "linear" ? row("σ", "=", "t") : row("σ", "=", "sin", angle());
  return explain(
    title,
    [text.path, formula(state(), "=", "α", "x", "+", "σ", "ε", ","), formula(...shares, noise), text.pathEnd],
    [text.step, formula(sub("x", row("t", "−", "Δt")), "=", state(), "−", "Δt", "v")],
    path === "linear" ? [text.guess, formula(sub(hat("x"), "0"), "=", state(), "−", "t", "v")] : text.guessElse,
    [text.guidance, formula("v", "=", velocity("∅"), "+", "w", "(", velocity("c"), "−", velocity("∅"), ")")],
    text.interval,
    text.latent,
    [
      `${source} `,
      paper("Ma et al. 2024, SiT", "2401.08740", "2"),
      "; ",
      paper("Ho, Salimans 2022", "2207.12598"),
      "; ",
      paper("Kynkäänniemi et al. 2024", "2404.07724"),
      "; ",
      paper("Chen et al. 2025, MAETok", "2502.03444", "3"),
      ".",
    ],
  );
}
