/** The settings of the comparison of settings: none yet. The panel declares them here, by the builders of `state/schema.ts`. */

export const fields = {};
