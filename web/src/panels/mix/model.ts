/** What of this panel a model is good for. */

import type { ModelClass, ModelSummary } from "../../protocol.ts";

/** Whether it makes pictures of classes; if not, pictures alone are mixed. */
export function canGenerate({ generates, classes }: ModelSummary): boolean {
  return generates && classes.length > 0;
}

/** The class of a side that nobody has chosen one for: the first and the last, so that there is something to see. */
export function classesOf({ classes }: ModelSummary, side: "a" | "b"): ModelClass | undefined {
  return side === "a" ? classes[0] : classes.at(-1);
}
