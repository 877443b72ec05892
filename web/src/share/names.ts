/** Names for files that are saved of a run. */

import type { Settings } from "../state/state.ts";

type Run = Pick<Settings["generate"], "class" | "seed" | "steps" | "guidance" | "count">;

/** `lorelei-seed7-25steps-guidance2.png`; `end` is the rest of it. */
export function fileName({ class: name, seed, steps, guidance, count }: Run, end: string): string {
  return `${slug(name)}-seed${seed}${count > 1 ? `-${count}pictures` : ""}-${steps}steps-guidance${guidance}${end}`;
}

/** A class's name as a part of a file's: letters, figures, and what no shell and no file system takes amiss. */
export function slug(name: string): string {
  return name.replace(/[^\p{L}\p{N}\p{M}_.-]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "") || "picture";
}
