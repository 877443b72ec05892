/** The guided tour. */

export interface TourStop {
  title: string;
  text: string;
  /** What there is to do. */
  task: string;
}

const stops = {
  noise: {
    title: "Noise becomes a picture",
    text: "The model has learnt to take noise away, a little at a time, until a picture is left. What kind of picture, the class tells it.",
    task: "Choose a class and press Generate. Then drag the slider under the picture back, and watch it come out of the noise again.",
  },
  steps: {
    title: "Steps and guidance",
    text: "With few steps it has to guess far ahead. Guidance says how strongly to follow the class: 1 as it was learnt, more for something more typical.",
    task: "Leave the seed as it is. Set 4 steps and generate, then 50; then 25 steps with guidance 1 and with 8.",
  },
  survives: {
    title: "What survives of a picture",
    text: "The generator does not work on pixels but on a short list of numbers, the latent. The tokenizer writes pictures down in these and paints them anew. What it cannot write down is lost.",
    task: "Give it a picture like those it learnt from, then a photo, and compare the two results.",
  },
  mask: {
    title: "Hide a part of it",
    text: "While it learnt, about half of each picture was hidden from it. So every number of the latent had to know something of the whole, and the latents became good to generate in.",
    task: "Give a picture if there is none yet. Then hide more and more of it: how long does the latent still know what it is?",
  },
  mix: {
    title: "Between two pictures",
    text: "Latents are points in a space, so there is a way from one to another. The decoder paints a picture at every place on it.",
    task: "Choose two pictures or two seeds and go from one to the other.",
  },
  map: {
    title: "Where pictures lie",
    text: "Latents are points in a space. Seen from one side, thousands of them are a map: likes lie together, and a run comes in from the middle.",
    task: "Load the map and point at it. Then let a run find its place.",
  },
} satisfies Record<string, TourStop>;

export const tour = {
  place: (at: number, of: number) => `Stop ${at} of ${of}`,
  back: "Back",
  next: "Next",
  done: "Done",
  goThere: "Go there",
  end: "End the tour",
  ended: "The tour is over; the button above begins it again.",
  keys: "Arrow keys: next and back. F6: to the control and back here. Escape: end.",
  failed: "The tour could not be loaded.",
  stops,
};
