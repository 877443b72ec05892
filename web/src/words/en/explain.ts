/** “What am I seeing?”: what stands between the formulas, by panel. */

export const explain = {
  title: "What am I seeing?",
  source: "Source:",
  section: (number: string) => `section ${number}`,
  generate: {
    path: "Training lays a straight path between a picture x and pure noise ε. At time t the state on it is",
    pathEnd: "so t = 1 is noise and t = 0 the picture. The network learnt to tell the direction of the path (the velocity v) from the state, the time and the class.",
    step: "Sampling walks the path backwards in steps of Δt, and at each step the rest of the way can be guessed in one leap. The first formula is a step of Euler, the second the guess you see:",
    guidance: "The guidance scale w goes further in the direction in which the class (c) differs from no class (∅):",
    latent: "All this happens to the tokenizer's latent, not to pixels: a short list of numbers that the decoder turns into the pictures shown here.",
  },
  reconstruct: {
    code: "The encoder E turns the picture x into L tokens of C numbers each, the latent z. The decoder D paints a picture from these alone:",
    mask: "In training, a part of the picture was hidden from the encoder, about every second patch, and had to be recovered all the same. So no token can be content with one corner: each must know something of the whole.",
    psnr: "How close the two are in their colour values, from 0 to 1, is told by the mean squared error (MSE) on the scale of decibels:",
    ssim: "SSIM compares brightness, contrast and structure in small windows instead; 1 is the same picture.",
  },
};
