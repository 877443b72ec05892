/** What a panel is, and what it is given. A panel's module exports `create(lab)`. */

import type { Client } from "../client.ts";
import type { ModelSummary } from "../protocol.ts";
import type { PanelName } from "../state/state.ts";
import type { Store } from "../state/store.ts";

/** What a panel works with. */
export interface Lab {
  readonly client: Client;
  /** Address of the model's manifest, for the client. */
  readonly manifest: string;
  readonly model: ModelSummary;
  readonly store: Store;
  /** Tells those who listen to the page: one sentence, of something that has happened. */
  say(text: string): void;
  /** Aborted when the page's element goes: ends listeners and runs. */
  readonly signal: AbortSignal;
  show(panel: PanelName): void;
  /** Hands on a file as if it had been dropped on the page. */
  take(file: File): void;
}

export interface Panel {
  readonly element: HTMLElement;
  /** Told when it comes into view, the first time too, and when it goes. */
  visible?(on: boolean): void;
  /** A file for the page while this panel is shown. False: not for this panel, so the reconstruction takes it. */
  take?(file: File): boolean;
  /** Something that has happened to this panel from outside, to be shown where its own facts stand. */
  tell?(text: string): void;
}

export interface PanelModule {
  create(lab: Lab): Panel;
}
