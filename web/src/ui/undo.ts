/** Takes changes of settings back, and back again: two buttons, Ctrl+Z and Ctrl+Shift+Z (⌘ on a Mac), Ctrl+Y. */

import type { Store } from "../state/store.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";

export function undoButtons(store: Store, signal: AbortSignal): HTMLElement {
  const { undo, redo } = words().shell;
  const back = h("button", { type: "button", class: "quiet icon", title: undo, "aria-label": undo }, "↶");
  const again = h("button", { type: "button", class: "quiet icon", title: redo, "aria-label": redo }, "↷");
  const show = () => {
    const focused = document.activeElement;
    back.disabled = !store.canUndo;
    again.disabled = !store.canRedo;
    // The last press leaves the button dead under the focus; the other is alive then.
    if (focused === back && back.disabled) again.focus();
    if (focused === again && again.disabled) back.focus();
  };
  back.addEventListener("click", () => store.undo());
  again.addEventListener("click", () => store.redo());
  store.subscribe(show, signal);
  show();
  document.addEventListener(
    "keydown",
    (event) => {
      const wish = asWish(event);
      if (!wish || isTextField(event.target)) return;
      event.preventDefault();
      store[wish]();
    },
    { signal },
  );
  return h("div", { class: "undo" }, back, again);
}

function asWish({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): "undo" | "redo" | null {
  if (!(ctrlKey || metaKey) || altKey) return null;
  if (key.toLowerCase() === "z") return shiftKey ? "redo" : "undo";
  return key.toLowerCase() === "y" && !shiftKey ? "redo" : null;
}

/** Where text is typed, the browser takes the letters back. */
function isTextField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches("textarea, input:not([type=range], [type=checkbox], [type=radio], [type=file], [type=button], [type=color])");
}
