/** One of the ways of mixing: its settings, what it computes, what it shows. */

import type { Task } from "../../ui/task.ts";
import type { End } from "./ends.ts";
import type { Side } from "./source.ts";

export interface View {
  /** The sides whose cards it shows, and whose latents it is given. */
  readonly sides: readonly Side[];
  /** Its settings, above the button. */
  readonly controls: HTMLElement;
  /** What it shows, below. */
  readonly element: HTMLElement;
  /** What its button says. */
  readonly label: string;
  /** The settings besides the sides that ask for the button to be pressed again when they change. */
  key(): string;
  /** Computes and shows; tells in a sentence what came of it. */
  run(ends: readonly End[], signal: AbortSignal, task: Task): Promise<string>;
  /** It goes out of sight. */
  leave?(): void;
}
