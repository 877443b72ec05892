/** One error class for the whole front: a stable code, one sentence, and what a person can do about it. */

/** What crosses from the worker to the page. */
export interface ErrorDetail {
  /** Stable and kebab-case. The engine's own: config, setting, unknown-class, picture, weights, manifest, checksum, io,
   *  device, kernel. The front's: download, cancelled, unsupported, busy, crash. */
  code: string;
  /** One sentence. */
  message: string;
  /** What to do; may be empty. */
  advice: string;
  /** The engine is lost: the worker must be replaced before the next try. */
  fatal: boolean;
  /** The kernel that the graphics processor refused, `NAME: WHY`: the next engine leaves it out. */
  refused?: string | undefined;
}

export class MaetokError extends Error implements ErrorDetail {
  override readonly name = "MaetokError";
  readonly code: string;
  readonly advice: string;
  readonly fatal: boolean;
  readonly refused: string | undefined;

  constructor(code: string, message: string, advice = "", fatal = false, refused?: string) {
    super(message);
    this.code = code;
    this.advice = advice;
    this.fatal = fatal;
    this.refused = refused;
  }

  static from(detail: ErrorDetail): MaetokError {
    return new MaetokError(detail.code, detail.message, detail.advice, detail.fatal, detail.refused);
  }

  detail(): ErrorDetail {
    const { code, message, advice, fatal, refused } = this;
    return { code, message, advice, fatal, refused };
  }
}

export function cancelled(): MaetokError {
  return new MaetokError("cancelled", "Stopped.");
}

const ADVICE: Record<string, string> = {
  checksum: "Nothing of it was kept; try again.",
  weights: "Reload the page to fetch the model again.",
  device: "Try again, or choose the other engine above.",
};

/** What helps with a picture depends on what is wrong with it, which the engine's sentence says. */
const PICTURE_ADVICE: [RegExp, string][] = [
  [/is cut short|is damaged|is empty/, "Save or download it again, or choose another."],
  [/must have at least/, "Choose a larger one."],
  [/may have|too much memory/, "Make it smaller, or choose another."],
  [/of the kind/, "Save it as one of these, or choose another."],
  [/a variant/, "Save it with another program, or choose another."],
];

function advise(code: string, message: string): string {
  if (code !== "picture") return ADVICE[code] ?? "";
  return PICTURE_ADVICE.find(([words]) => words.test(message))?.[1] ?? "Choose another file.";
}

/**
 * Anything thrown, as a `MaetokError`. `panic` is what the engine said if it panicked: a trap's own message
 * ("unreachable executed") tells a person nothing.
 */
export function asMaetokError(thrown: unknown, panic?: string): MaetokError {
  if (thrown instanceof MaetokError) return thrown;
  if (thrown instanceof WebAssembly.RuntimeError || panic !== undefined) {
    const cause = (panic ?? String((thrown as Error).message)).split("\n").slice(0, 2).join(" ").trim();
    return new MaetokError(
      "crash",
      `The engine stopped on a fault of its own (${cause}).`,
      "It has been restarted: try again, and choose the other engine above if it stops again.",
      true,
    );
  }
  if (thrown instanceof DOMException && thrown.name === "AbortError") return cancelled();
  if (thrown instanceof Error) {
    const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : "crash";
    return new MaetokError(code, sentence(thrown.message), advise(code, thrown.message));
  }
  return new MaetokError("crash", sentence(String(thrown)));
}

/** Begins with a capital and ends with a full stop, as a sentence on the page does. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "Something failed and gave no reason.";
  const capital = trimmed[0]!.toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
