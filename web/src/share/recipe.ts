/**
 * The settings of a panel as the text inside a PNG file, and the way back. Written and checked by the fields of
 * `panels/<name>/fields.ts`, as links are: whoever wrote it, what is read is a value of its field or left out.
 */

import { type Fields, read as readFields } from "../state/schema.ts";
import { PANEL_NAMES, type PanelName, PARTS, type Settings } from "../state/state.ts";

/** Of the form described here. */
const FORMAT = 1;

/** Part of the page rather than of a picture. */
const NOT_KEPT: { readonly [P in PanelName]?: readonly string[] } = { generate: ["live"] };

/** A title is repeated to people, so not all of a stranger's. */
const LONGEST_TITLE = 80;

export interface Recipe<P extends PanelName = PanelName> {
  /** The title of the model it was made with. */
  model: string;
  panel: P;
  settings: Partial<Settings[P]>;
  /** Names of settings that could not be used. Names of ours only. */
  bad: string[];
}

/** `{"maetok": 1, "model": "Toon, 128 pixels", "generate": {"class": "lorelei", "seed": "7", …}}` */
export function write<P extends PanelName>(model: string, panel: P, settings: Settings[P]): string {
  const values = settings as Record<string, unknown>;
  const kept = fieldsOf(panel).map(([name, field]) => [name, field.print(values[name])]);
  return JSON.stringify({ maetok: FORMAT, model, [panel]: Object.fromEntries(kept) });
}

/** Null: not what `write` writes. */
export function read(text: string): Recipe | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(found) || found.maetok !== FORMAT) return null;
  const panel = PANEL_NAMES.find((name) => isObject((found as Record<string, unknown>)[name]));
  if (!panel) return null;
  const values = found[panel] as Record<string, unknown>;
  const params = new URLSearchParams();
  const bad: string[] = [];
  for (const [name] of fieldsOf(panel)) {
    if (!Object.hasOwn(values, name)) continue;
    const value = values[name];
    if (typeof value === "string") params.set(`${panel}.${name}`, value);
    else bad.push(`${panel}.${name}`);
  }
  const settings = readFields(PARTS[panel] as Fields, panel, params, bad) as Partial<Settings[PanelName]>;
  const kept = Object.entries(settings).filter(([name]) => !NOT_KEPT[panel]?.includes(name));
  return { model: typeof found.model === "string" ? found.model.slice(0, LONGEST_TITLE) : "", panel, settings: Object.fromEntries(kept), bad };
}

/** The fields of a panel that belong to a picture. */
function fieldsOf(panel: PanelName): [string, Fields[string]][] {
  return Object.entries(PARTS[panel] as Fields).filter(([name]) => !NOT_KEPT[panel]?.includes(name));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
