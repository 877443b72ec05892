/** The same noise under different settings: no words yet. */

import type { Words } from "../index.ts";

export const compare: Words["compare"] = {};
