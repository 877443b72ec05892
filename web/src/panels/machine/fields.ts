/** How the benchmark measures. */

import { flag, whole } from "../../state/schema.ts";

export const fields = {
  /** Times of each work; the middle one counts. */
  runs: whole(3, 1, 20),
  /** The same work by the operations of the library below, beside ours. */
  compare: flag(true),
};
