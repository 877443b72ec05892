/** The path between noise and picture as the model was trained on it: how much of each is in the state, over time. */

import type { ModelSummary } from "../../protocol.ts";
import { s } from "../../ui/svg.ts";

/** Shares of the picture (α) and of the noise (σ) in the state at time `t`. */
export function shares(path: ModelSummary["path"], t: number): { alpha: number; sigma: number } {
  if (path === "linear") return { alpha: 1 - t, sigma: t };
  return { alpha: Math.cos((t * Math.PI) / 2), sigma: Math.sin((t * Math.PI) / 2) };
}

/** Straight pieces a curve is drawn with. */
const PIECES = 40;

/** Both curves, from noise on the left to the picture on the right, which is the way a run takes. */
export function drawPath(path: ModelSummary["path"]): SVGElement {
  const curve = (name: "alpha" | "sigma") => {
    const points = Array.from({ length: PIECES + 1 }, (_, i) => {
      const along = i / PIECES;
      return `${(100 * along).toFixed(2)},${(100 * (1 - shares(path, 1 - along)[name])).toFixed(2)}`;
    });
    return s("polyline", { class: name, points: points.join(" "), fill: "none", "vector-effect": "non-scaling-stroke" });
  };
  return s("svg", { class: "path", viewBox: "0 0 100 100", preserveAspectRatio: "none" }, curve("alpha"), curve("sigma"));
}
