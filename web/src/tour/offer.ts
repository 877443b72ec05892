/** The button in the page's header that begins the tour. Nothing of the tour is loaded, or starts, before it is pressed. */

import type { PanelName } from "../state/state.ts";
import { words } from "../words/index.ts";
import type { Tour } from "./tour.ts";

/** Where it is remembered that somebody has taken the tour. */
const KEY = "maetok-tour";

export interface Offer {
  panels: () => readonly PanelName[];
  show: (panel: PanelName) => void;
  say: (text: string) => void;
  /** The tour's code did not arrive. */
  failed: () => void;
}

/** Makes the button work until `signal` is aborted. A page without the button has no tour. */
export function offerTour({ panels, show, say, failed }: Offer, signal: AbortSignal): void {
  const button = document.querySelector<HTMLButtonElement>("#tour");
  if (!button || signal.aborted) return;
  let tour: Tour | null = null;
  let coming = false;
  button.disabled = false;
  button.classList.toggle("seen", seen());
  const begin = async () => {
    if (tour) return tour.focus();
    if (coming) return;
    coming = true;
    const code = await import("./tour.ts").catch(() => null).finally(() => (coming = false));
    if (signal.aborted) return;
    if (!code) return failed();
    const ended = () => {
      tour = null;
      remember();
      button.classList.add("seen");
      say(words().tour.ended);
    };
    tour = new code.Tour({ panels: panels(), show, say, ended, home: button }, signal);
  };
  button.addEventListener("click", () => void begin(), { signal });
  signal.addEventListener("abort", () => (button.disabled = true), { once: true });
}

function seen(): boolean {
  try {
    return localStorage.getItem(KEY) === "seen";
  } catch {
    // Storage is refused to this page.
    return false;
  }
}

function remember(): void {
  try {
    localStorage.setItem(KEY, "seen");
  } catch {
    // Then it is offered as warmly again.
  }
}
