/** Errors in the language of the page. */

import { type ErrorDetail, MaetokError } from "../errors.ts";
import { lang, words } from "./index.ts";

/** An error of the page's own, whose words are out of the table already. */
export class PageError extends MaetokError {}

type Told = Pick<ErrorDetail, "message" | "advice">;

/**
 * The sentences of an error. The engine's own are English: in another language the table says what kind of error it is,
 * and the engine's sentence follows in brackets, since it has the names and the numbers.
 */
export function told(error: Pick<ErrorDetail, "code" | "message" | "advice">): Told {
  if (error instanceof PageError) return error;
  const { errors } = words();
  const kind = Object.hasOwn(errors, error.code) ? errors[error.code as keyof typeof errors] : errors.other;
  if (lang() === "en") return { message: error.message || kind.message, advice: error.advice };
  return { message: error.message ? `${kind.message} (${error.message})` : kind.message, advice: error.advice && kind.advice };
}
