/** Encoder, decoder and the measures between, in formulas. */

import { explain, paper } from "../../ui/explain.ts";
import { formula, fraction, hat, row, sub, sup } from "../../ui/math.ts";
import { words } from "../../words/index.ts";

export function explainReconstruct(): HTMLElement {
  const { title, source, reconstruct: text } = words().explain;
  return explain(
    title,
    [text.code, formula("z", "=", "E", "(", "x", ")", "∈", sup("ℝ", row("L", "×", "C")), ","), formula(hat("x"), "=", "D", "(", "z", ")")],
    text.mask,
    text.hide,
    [text.edit, formula(sub("e", "i"), "=", "⟨", "|", "D", "(", "z", ")", "−", "D", "(", sub("z", row("−", "i")), ")", "|", "⟩")],
    text.error,
    [text.psnr, formula("PSNR", "=", "10", "·", sub("log", "10"), fraction("1", "MSE"), "dB")],
    text.ssim,
    [`${source} `, paper("Chen et al. 2025, MAETok", "2502.03444", "3"), "; SSIM: Wang et al. 2004."],
  );
}
