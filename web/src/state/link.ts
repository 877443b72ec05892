/**
 * The state as a link: `#panel=generate&generate.steps=50`. It is the address's hash, which browsers keep to themselves:
 * no server hears of a setting.
 */

import { read, write } from "./schema.ts";
import { PANEL_NAMES, PARTS, type PanelName, type Settings, type State, untouched } from "./state.ts";
import type { Store } from "./store.ts";

/** Settings are written into the address this long after the last change, in milliseconds: Safari counts, and refuses. */
const SETTLED = 300;

/** More than this a link of ours never has. */
const MOST_FIELDS = 200;

/** As much of a stranger's name for a setting as is repeated. */
const LONGEST_NAME = 30;

export function toHash(state: State): string {
  const params = new URLSearchParams({ panel: state.panel });
  for (const part of PANEL_NAMES) write(PARTS[part], state[part], part, params);
  return `#${params}`;
}

export interface Reading {
  state: State;
  /** Names of what was left out: unknown, given twice, out of range. Never a value; text for people all the same, not HTML. */
  bad: string[];
}

/** Reads a hash, whoever wrote it; never fails. `panels`: those that can be shown, the first being the default. */
export function fromHash(hash: string, panels: readonly PanelName[]): Reading {
  const params = new URLSearchParams(hash.replace(/^#/, ""));
  const bad: string[] = [];
  const known = new Set(["panel", ...PANEL_NAMES.flatMap((part) => Object.keys(PARTS[part]).map((name) => `${part}.${name}`))]);
  for (const name of new Set([...params.keys()].slice(0, MOST_FIELDS))) {
    if (!known.has(name)) bad.push(name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name);
  }
  const wanted = params.get("panel");
  const panel = panels.find((name) => name === wanted);
  if (wanted !== null && !panel) bad.push("panel");
  const settings = Object.fromEntries(PANEL_NAMES.map((part) => [part, read(PARTS[part], part, params, bad)])) as unknown as Settings;
  return { state: { ...untouched(panel ?? panels[0]), ...settings }, bad };
}

/**
 * Keeps store and address alike until `signal` is aborted. Settings change the present entry of the browser's history,
 * panels make a new one; back, forward and a pasted link change the store. `report` hears what could not be used of one.
 */
export function bindAddress(store: Store, panels: readonly PanelName[], report: (bad: string[]) => void, signal: AbortSignal): void {
  /** What the address was last seen or made to be: two events tell of one change. */
  let seen: string | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** The state comes from the address at this moment, and is in it already. */
  let taking = false;

  const put = (how: "pushState" | "replaceState", state: State) => {
    clearTimeout(timer);
    timer = undefined;
    history[how](null, "", toHash(state));
    seen = location.hash;
  };
  const settle = (state: State) => {
    if (timer !== undefined) put("replaceState", state);
  };
  const take = (undoable: boolean) => {
    if (location.hash === seen) return;
    clearTimeout(timer);
    timer = undefined;
    seen = location.hash;
    const { state, bad } = fromHash(seen, panels);
    taking = true;
    store.load(state, { undoable });
    taking = false;
    // A panel may know better than the link, as of a class that its model does not have. Whoever copies the address, or
    // loads it anew, gets what is shown.
    if (bad.length > 0 || store.get() !== state) put("replaceState", store.get());
    if (bad.length > 0) report(bad);
  };

  take(false);
  store.subscribe((state, before) => {
    if (taking) return;
    if (state.panel !== before.panel) {
      // The entry that is left keeps what was set there.
      settle(before);
      put("pushState", store.get());
    } else {
      clearTimeout(timer);
      timer = setTimeout(() => put("replaceState", store.get()), SETTLED);
    }
  }, signal);
  const moved = () => take(true);
  window.addEventListener("popstate", moved, { signal });
  window.addEventListener("hashchange", moved, { signal });
  window.addEventListener("pagehide", () => settle(store.get()), { signal });
  signal.addEventListener("abort", () => settle(store.get()), { once: true });
}
