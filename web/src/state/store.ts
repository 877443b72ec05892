/**
 * The one place the state is kept. Panels read it, change it with `set` and hear of changes; the address, the undo
 * history and what will be written into files use the same object, which is never changed in place.
 */

import type { Field, Fields } from "./schema.ts";
import { PANEL_NAMES, PARTS, type PanelName, type Patch, type State, untouched } from "./state.ts";

/** Called after a change with the state as it is and as it was. */
export type Listener = (state: State, before: State) => void;

export interface SetOptions {
  /** False: a change that nobody wants to take back, as the panel that is shown. */
  undoable?: boolean;
}

/** Changes of the same fields that follow each other faster than this, in milliseconds, are one: a slider that is drawn. */
const TOGETHER = 1000;

/** So many changes can be taken back. */
const MOST = 200;

export class Store {
  #state: State;
  readonly #listeners = new Set<Listener>();
  /** States to go back to, the latest last; with `panel` as it was when they were left. */
  #undo: State[] = [];
  #redo: State[] = [];
  /** What the last undoable change was to, and when. */
  #last = { fields: "", at: -Infinity };
  readonly #now: () => number;

  constructor(state: State = untouched(), now: () => number = () => performance.now()) {
    this.#state = state;
    this.#now = now;
  }

  get(): State {
    return this.#state;
  }

  /**
   * Changes fields and tells everyone, unless they have the values already. Values are rounded as their fields say.
   *
   * Throws `RangeError` for a value its field does not allow: ask the field's `parse` about what people type.
   */
  set(patch: Patch, { undoable = true }: SetOptions = {}): void {
    const next: Record<string, unknown> = { ...this.#state };
    if (patch.panel !== undefined) next.panel = patch.panel;
    const changed: string[] = [];
    for (const part of PANEL_NAMES) {
      for (const [name, value] of Object.entries(patch[part] ?? {})) {
        const tidy = check(part, name, value);
        if (tidy === undefined) continue;
        next[part] = { ...(next[part] as object), [name]: tidy.value };
        if (tidy.printed !== print(this.#state, part, name)) changed.push(`${part}.${name}`);
      }
    }
    if (changed.length === 0 && next.panel === this.#state.panel) return;
    if (undoable && changed.length > 0) this.#remember(changed.join(" "));
    this.#become(next as unknown as State);
  }

  /** Takes over a whole state, as from a link. */
  load(state: State, { undoable = true }: SetOptions = {}): void {
    if (undoable && !same(state, this.#state)) {
      this.#last.fields = "";
      this.#remember("");
    }
    this.#become(state);
  }

  /** Calls `listener` after every change, until `signal` is aborted. */
  subscribe(listener: Listener, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
  }

  get canUndo(): boolean {
    return this.#undo.length > 0;
  }

  get canRedo(): boolean {
    return this.#redo.length > 0;
  }

  /** Takes the last change back, and shows the panel it was made in. */
  undo(): void {
    this.#travel(this.#undo, this.#redo);
  }

  redo(): void {
    this.#travel(this.#redo, this.#undo);
  }

  #remember(fields: string): void {
    const now = this.#now();
    const goesOn = fields !== "" && fields === this.#last.fields && now - this.#last.at < TOGETHER && this.#undo.length > 0;
    if (!goesOn) this.#undo = [...this.#undo, this.#state].slice(-MOST);
    this.#redo = [];
    this.#last = { fields, at: now };
  }

  #travel(from: State[], to: State[]): void {
    const state = from.pop();
    if (!state) return;
    // There and back again ends at the panel where the change was made, not where somebody has strolled since.
    to.push({ ...this.#state, panel: state.panel });
    this.#last.fields = "";
    this.#become(state);
  }

  #become(state: State): void {
    const before = this.#state;
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state, before);
  }
}

function check(part: PanelName, name: string, value: unknown): { value: unknown; printed: string } | undefined {
  if (value === undefined) return undefined;
  const field = fieldOf(part, name);
  const printed = field.print(value);
  const rounded = field.parse(printed);
  if (rounded === undefined) throw new RangeError(`${part}.${name} cannot be ${printed}`);
  return { value: rounded, printed };
}

function print(state: State, part: PanelName, name: string): string {
  return fieldOf(part, name).print((state[part] as Record<string, unknown>)[name]);
}

function fieldOf(part: PanelName, name: string): Field<unknown> {
  const field = (PARTS[part] as Fields)[name];
  if (!field) throw new RangeError(`there is no setting ${part}.${name}`);
  return field;
}

/** Whether two states have the same settings, whatever panel they show. */
function same(a: State, b: State): boolean {
  return PANEL_NAMES.every((part) => Object.keys(PARTS[part]).every((name) => print(a, part, name) === print(b, part, name)));
}
