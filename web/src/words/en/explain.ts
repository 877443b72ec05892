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
    interval: "It can be limited to an interval of time: early on it makes pictures alike, late it changes little. Outside the interval w is 1, so an interval that no step falls into, such as from 0 to 0, is the same as no guidance.",
    latent: "All this happens to the tokenizer's latent, not to pixels: a short list of numbers that the decoder turns into the pictures shown here.",
  },
  reconstruct: {
    code: "The encoder E turns the picture x into L tokens of C numbers each, the latent z. The decoder D paints a picture from these alone:",
    mask: "In training, a part of the picture was hidden from the encoder, about every second patch, and had to be recovered all the same. So no token can be content with one corner: each must know something of the whole.",
    hide: "Patches hidden here stay hidden from this encoder in the same way: it is given the others, in the places they have, and its tokens must do with them.",
    edit: "A token that is left out gets the mean μ of the training set's latents for all its numbers, and noise is measured by their standard deviation σ. With z₋ᵢ for the latent without token i, the effect of the token is the mean (⟨ ⟩) difference of all colour values:",
    error: "The error map shows the difference in brightness with its sign, from −255 to 255.",
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
  mix: {
    between: "The latents z of two pictures are lists of equally many numbers, so there is a straight way between them, and the decoder paints a picture at every share s of it:",
    circle: "Noise lies near a sphere, and so do latents: the straight way cuts through it and ends up too small in the middle. The round way stays outside; θ is the angle between the two:",
    tokens: "A latent of this tokenizer is a row of tokens, and nothing in its form ties a token to a place in the picture: what each takes care of, the tokenizer has worked out by itself. It shows when one is put into another picture.",
    walk: "The generator knows a class as a list of numbers, too, its embedding c, and between two of these it finds its way just the same:",
    edit: "An edit takes the picture’s latent x a part of the path back towards noise ε, and the generator walks the rest of it down again under another class (SDEdit):",
    editEnd: "The noise hides small things first and large ones last, so t decides how much of the picture the other class has to put up with.",
  },
  compare: {
    same: "All columns begin with the same noise ε and walk from t = 1 to t = 0 along the direction v that the network tells. They differ only in what is set above them, so every difference is due to that.",
    samplers: "Euler takes the direction at the beginning of a step for all of it. Heun looks again at its end and takes the mean, which costs twice as much. The stochastic sampler adds fresh noise at each step and takes it away again:",
    distance: "Distances are the root mean square of the differences of all n numbers of two latents, in units of the standard deviation s of the training pictures’ latents. Two pictures that have nothing to do with each other are about 1 to 1.4 apart:",
    own: "The distance to a run’s own end tells when it has made up its mind: x̂0 arrives long before the state does.",
  },
  machine: {
    cost: "What a picture costs is known before it is measured. A block of a transformer with L tokens of width d takes about so many floating-point operations (FLOP), the first part in its linear layers, the second in its attention:",
    short: "That is why a tokenizer with few tokens matters: half as many halve the first part and quarter the second. The included model makes do with a few where patches of pixels would need many.",
    rate: "A time alone says little. The rate of a linear layer of M rows, from K to N columns, says how near the device comes to what it can do; t is the median time:",
    ratio: "The ratio is how many times longer the operations of the library below take for the same work. On a processor in a browser there is one thread; a software adapter only imitates a graphics processor.",
    safety: "Kernels, the programs for the graphics processor, are tested against numbers of their own when it is first used; one that is wrong is left out by name. If the device is lost in the midst of a run, the run goes on from its last step, to the same picture.",
  },
};
