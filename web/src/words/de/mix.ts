/** Two pictures or two seeds, mixed: no words yet. */

import type { Words } from "../index.ts";

export const mix: Words["mix"] = {};
