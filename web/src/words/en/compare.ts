/** The same noise under different settings: no words yet. */

export const compare = {};
