/**
 * What kind of error it was, by its code. The worker and the engine write their sentences in English, with numbers and
 * names in them: in English these are shown as they are, and what stands here only where an error brings no sentence. In
 * another language what stands here is shown first, and the engine's own sentence after it, in brackets.
 */

/** A sentence, and what to do. The advice is shown where the error itself has one. */
export interface Kind {
  message: string;
  advice: string;
}

export const errors = {
  config: { message: "The model's configuration cannot be used.", advice: "The model folder on the server needs repair." },
  setting: { message: "A setting is out of its range.", advice: "Change it and try again." },
  "unknown-class": { message: "The model has no such class.", advice: "Choose another." },
  picture: { message: "The picture cannot be used.", advice: "Choose another file." },
  weights: { message: "The weights of the model cannot be used.", advice: "Reload the page to fetch the model again." },
  manifest: { message: "The model's table of contents cannot be used.", advice: "The model folder on the server needs repair." },
  checksum: { message: "A file of the model arrived damaged.", advice: "Nothing of it was kept; try again." },
  io: { message: "A file could not be read.", advice: "Try again." },
  device: { message: "The graphics processor failed.", advice: "The engine has been restarted: try again, or choose the other engine above." },
  kernel: { message: "The graphics processor refuses one of the engine's programs.", advice: "The engine does without it if it can: try again, or choose the CPU engine above." },
  training: { message: "The training cannot go on.", advice: "Try again." },
  download: { message: "Something could not be downloaded.", advice: "Check the connection and try again." },
  cancelled: { message: "Stopped.", advice: "Try again." },
  unsupported: { message: "This browser cannot run the engine.", advice: "Update the browser, or use another." },
  busy: { message: "Something else is still under way.", advice: "Try again in a moment." },
  crash: { message: "The engine stopped on a fault of its own.", advice: "It has been restarted: try again, and choose the other engine above if it stops again." },
  /** Of any other code. */
  other: { message: "Something failed.", advice: "Try again, or reload the page." },
} satisfies Record<string, Kind>;
