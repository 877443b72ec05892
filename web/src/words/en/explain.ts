/** “What am I seeing?”: what stands between the formulas, by panel. */

export const explain = {
  title: "What am I seeing?",
  source: "Source:",
  section: (number: string) => `section ${number}`,
  generate: {
    path: "Training lays a path between a picture x and pure noise ε. At time t the state on it has α of the one and σ of the other:",
    pathEnd: "so t = 1 is noise and t = 0 the picture. The network learnt to tell the direction of the path (the velocity v) from the state, the time and the class.",
    step: "Sampling walks the path backwards in steps of Δt. A step of Euler is",
    guess: "At each step the rest of the way can be guessed in one leap, which is the guess you see:",
    guessElse: "At each step the rest of the way can be guessed in one leap along the direction v, which is the guess you see.",
    guidance: "The guidance scale w goes further in the direction in which the class (c) differs from no class (∅):",
    interval: "It can be limited to an interval of time: early on it makes pictures alike, late it changes little. Outside the interval w is 1, so an interval without length is the same as no guidance.",
    latent: "All this happens to the tokenizer's latent, not to pixels: a short list of numbers that the decoder turns into the pictures shown here.",
  },
  reconstruct: {
    code: "The encoder E turns the picture x into L tokens of C numbers each, the latent z. The decoder D paints a picture from these alone:",
    mask: "In training, a part of the picture was hidden from the encoder, about every second patch, and had to be recovered all the same. So no token can be content with one corner: each must know something of the whole.",
    psnr: "How close the two are in their colour values, from 0 to 1, is told by the mean squared error (MSE) on the scale of decibels:",
    ssim: "SSIM compares brightness, contrast and structure in small windows instead; 1 is the same picture.",
  },
  map: {
    components: "Every picture is a latent z of L × C numbers, a point in a space of as many dimensions. Principal component analysis finds the directions u in it along which the pictures differ most, one at right angles to the next. A picture's place along the k-th is",
    componentsEnd: "with μ the mean of all pictures of the map. Two such directions are the axes you see. They are computed here, in this browser, from the latents of the map.",
    distance: "A plane cannot show distances in so many dimensions: two points may lie on top of each other and be far apart. So neighbours are found in all numbers, by the root mean square difference in units of σ, the standard deviation of the training pictures' numbers:",
    run: "A run begins as noise, which has no class: near the middle of the map. Its guesses x̂0 set out near the mean of the class, or beyond it where guidance is strong, and settle on one picture as the noise goes.",
    space: "Why it matters: the paper finds that a generator learns a space of latents more easily when the classes lie apart in it and in few clusters, which is what hiding parts of the picture in training brings about.",
  },
};
