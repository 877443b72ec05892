/** The settings of the map of latents: none yet. The panel declares them here, by the builders of `state/schema.ts`. */

export const fields = {};
