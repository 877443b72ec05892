/** Where pictures lie among all others: no words yet. */

import type { Words } from "../index.ts";

export const map: Words["map"] = {};
