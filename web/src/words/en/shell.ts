/** The frame around the panels, and the pieces all of them share. */

import { decapitalise } from "../text.ts";

export const shell = {
  page: {
    title: "MAETok: watch noise become a picture",
    description: "Pick a class and watch noise become a picture, step by step, computed in this browser.",
    tagline: "A small image generator that runs entirely in this browser: nothing is sent anywhere.",
    language: "Language",
    footer1: "A masked-autoencoder tokenizer (",
    footer2: ") and a diffusion transformer (",
    footer3: "), written in Rust on Burn.",
    maetok: "Masked AutoEncoder Tokenizer, Chen et al. 2025",
    sit: "Scalable Interpolant Transformer, Ma et al. 2024",
  },
  panels: "Panels",
  undo: "Undo the last change of a setting",
  redo: "Redo the change",
  /** `names`: of settings, as they stand in the link; `more`: how many are not named. */
  linkPartly: (names: string, more: number) =>
    `A part of this link cannot be used and was left out: ${names}${more > 0 ? ` and ${more} more` : ""}.`,
  linkAdvice: "The settings it spoke of are the usual ones.",
  panelFailed: "This part of the page could not be loaded.",
  panelAdvice: "Check the connection and try again; if that does not help, reload the page.",
  noModel: (sentence: string) => `There is no model to show: ${decapitalise(sentence)}`,
  noModelForPicture: (sentence: string) => `The picture cannot be taken without a model: ${decapitalise(sentence)}`,
  notReady: "The page is not ready for a picture yet.",
  notReadyAdvice: "Give it again in a moment.",
  notAFile: "What was dropped is not a file.",
  notAFileAdvice: "Save the picture first and drop the file, or copy the picture and paste it here.",
  tryAgain: "Try again",
  close: "Close",
  saved: "Saved.",
  stopped: "Stopped.",
  noPicture: "No picture yet",
  noise: "Noise: no picture yet",
  pixels: "Show the pixels",
  saveAsPng: "Save as PNG",
  task: {
    bar: "Progress",
    stop: "Stop",
    stopping: "Stopping…",
    stoppingAfterStep: "Stopping after this step…",
    gettingReady: "Getting ready…",
    waiting: "Waiting for the other task to end…",
    download: "Downloading the model and the engine…",
    downloaded: (loaded: string, total: string) => `Downloading: ${loaded} of ${total}`,
    load: "Making the model ready…",
    compute: "Computing…",
    resume: (step: string) => `The graphics processor was lost; going on after step ${step}…`,
    firstStep: "First step done",
    step: (index: string, of: string) => `Step ${index} of ${of}`,
    left: (time: string) => `about ${time} left`,
  },
  strip: {
    label: "Look at any step",
  },
};
