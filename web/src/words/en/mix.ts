/** Two pictures or two seeds, mixed: no words yet. */

export const mix = {};
