/** The settings of the reconstruction: none yet. The panel declares them here, by the builders of `state/schema.ts`. */

export const fields = {};
