/** A run as a command line of `maetok`, which gives the same picture. See `crate/cli/src/sample.rs`. */

import type { Settings } from "../state/state.ts";
import { slug } from "./names.ts";

type Run = Settings["generate"];

export function command({ class: name, seed, steps, guidance, low, high, sampler, count }: Run): string {
  const words = [
    "maetok",
    "sample",
    // A name that begins with a dash would be read as a flag.
    ...(name.startsWith("-") ? [`--class=${name}`] : ["--class", name]),
    "--seed", seed,
    "--steps", String(steps),
    "--guidance", String(guidance),
    "--interval", `${low},${high}`,
    "--sampler", sampler,
    ...(count > 1 ? ["--grid", String(count)] : []),
    "--out", `${slug(name)}-seed${seed}.png`,
  ];
  return words.map(quoted).join(" ");
}

/** A word as a POSIX shell takes it, whatever is in it. */
export function quoted(word: string): string {
  return /^[A-Za-z0-9_.,:=+/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
