/** Links, files and what is in them: no words yet. */

import type { Words } from "../index.ts";

export const share: Words["share"] = {};
