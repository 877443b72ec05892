/** Controls tied to the state, both ways: what is typed goes into the store, what changes there is shown. */

import type { Field, Fields } from "../state/schema.ts";
import { PARTS, type PanelName, type Patch, type Settings } from "../state/state.ts";
import type { Store } from "../state/store.ts";

export type Control = HTMLInputElement | HTMLSelectElement;

/**
 * Ties `control` to the setting `name` of `part` until `signal` is aborted. What cannot be a value of it is not stored, and
 * marks the control as invalid: what is shown is then not what the store says, so ask `isValid` before using it.
 */
export function bind<P extends PanelName>(control: Control, part: P, name: keyof Settings[P] & string, store: Store, signal: AbortSignal): void {
  const field = (PARTS[part] as Fields)[name] as Field<unknown>;
  const stored = () => (store.get()[part] as Record<string, unknown>)[name];
  const show = () => {
    // Somebody who types "0" on the way to "0.5" is not interrupted.
    const typed = read(control, field);
    if (typed === undefined || field.print(typed) !== field.print(stored())) write(control, field.print(stored()));
    mark(control, true);
  };
  show();
  control.addEventListener(
    "input",
    () => {
      const value = read(control, field);
      mark(control, value !== undefined);
      if (value !== undefined) store.set({ [part]: { [name]: value } } as Patch);
    },
    { signal },
  );
  store.subscribe((state, before) => {
    if ((state[part] as Record<string, unknown>)[name] !== (before[part] as Record<string, unknown>)[name]) show();
  }, signal);
}

/** Whether what the control shows is in the store. */
export function isValid(control: Control): boolean {
  return control.getAttribute("aria-invalid") !== "true";
}

function mark(control: Control, valid: boolean): void {
  if (valid) control.removeAttribute("aria-invalid");
  else control.setAttribute("aria-invalid", "true");
}

function read(control: Control, field: Field<unknown>): unknown {
  return field.parse(isBox(control) ? (control.checked ? "yes" : "no") : control.value.trim());
}

function write(control: Control, printed: string): void {
  if (isBox(control)) control.checked = printed === "yes";
  else control.value = printed;
}

function isBox(control: Control): control is HTMLInputElement {
  return control instanceof HTMLInputElement && control.type === "checkbox";
}
