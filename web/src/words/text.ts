/** Small operations on sentences, for the tables of words. */

/** A sentence of the engine's, to go on with after a colon. */
export function decapitalise(text: string): string {
  return text.replace(/^(The|It|This) /, (word) => word.toLowerCase());
}

/** `a`, `a and b`, `a, b and c`. */
export function join(names: readonly string[], and: string): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} ${and} ${last}`;
}

/** A sentence of the engine's in another language, if one of the patterns describes the whole of it. `$1` is its first group. */
export function rendered(text: string, patterns: readonly (readonly [RegExp, string])[]): string | undefined {
  for (const [pattern, words] of patterns) {
    const whole = new RegExp(`^(?:${pattern.source})$`, `${pattern.flags}s`);
    if (whole.test(text)) return text.replace(whole, words);
  }
  return undefined;
}
