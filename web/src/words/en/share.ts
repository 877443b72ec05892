/** Links, files and what is in them: no words yet. */

export const share = {};
