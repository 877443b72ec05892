/** Where pictures lie among all others: no words yet. */

export const map = {};
