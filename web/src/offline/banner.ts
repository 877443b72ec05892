/** One sentence when a new version of the page is there, and the button that begins it. Never by itself: work would be lost. */

import { h } from "../ui/dom.ts";
import { words } from "../words/index.ts";
import { type Offline } from "./offline.ts";

export function banner(offline: Offline, signal: AbortSignal): HTMLElement {
  // There from the start: screen readers announce changes of what they know.
  const element = h("div", { role: "status", class: "update" });
  const show = () => {
    if (!offline.updated || element.hasChildNodes()) return;
    const text = words().offline;
    const later = h("button", { type: "button", class: "quiet", onclick: () => element.replaceChildren() }, text.later);
    element.append(h("p", {}, text.updated), h("button", { type: "button", onclick: () => location.reload() }, text.reload), later);
  };
  offline.addEventListener("change", show, { signal });
  show();
  return element;
}
