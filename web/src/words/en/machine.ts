/** What computes here. */

export const machine = {
  label: "What computes here",
  looking: "Looking at what this browser can do…",
  unknown: "It is not known what this browser can do.",
  details: "Details and choice",
  engine: "Engine",
  choices: {
    auto: "Automatic",
    webgpu: "Graphics processor (WebGPU)",
    cpu: "Processor (WebAssembly)",
  },
  retest: "Test the kernels again",
  findings: "What was found",
  /** A finding of the diagnosis, which the worker writes in English: a badge, a reason, an advice, a name or a value. */
  found: (words: string) => words,
};
