/**
 * The settings of a run as the text inside a PNG file, and the way back. Written and checked by the fields of
 * `panels/generate/fields.ts`, as links are: whoever wrote it, what is read is a value of its field or left out.
 */

import { read as readFields } from "../state/schema.ts";
import { PARTS, type Settings } from "../state/state.ts";

type Run = Settings["generate"];

/** Of the form described here. */
const FORMAT = 1;

/** Part of the page rather than of a picture. */
const NOT_KEPT = "live";

/** A title is repeated to people, so not all of a stranger's. */
const LONGEST_TITLE = 80;

export interface Recipe {
  /** The title of the model it was made with. */
  model: string;
  settings: Run;
  /** Names of settings that could not be used. Names of ours only. */
  bad: string[];
}

/** `{"maetok": 1, "model": "Toon, 128 pixels", "generate": {"class": "lorelei", "seed": "7", …}}` */
export function write(model: string, settings: Run): string {
  const generate: Record<string, string> = {};
  for (const [name, field] of Object.entries(PARTS.generate)) {
    if (name !== NOT_KEPT) generate[name] = (field.print as (value: unknown) => string)(settings[name as keyof Run]);
  }
  return JSON.stringify({ maetok: FORMAT, model, generate });
}

/** Null: not what `write` writes. */
export function read(text: string): Recipe | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(found) || found.maetok !== FORMAT || !isObject(found.generate)) return null;
  const params = new URLSearchParams();
  const bad: string[] = [];
  for (const name of Object.keys(PARTS.generate)) {
    if (name === NOT_KEPT || !Object.hasOwn(found.generate, name)) continue;
    const value = found.generate[name];
    if (typeof value === "string") params.set(`generate.${name}`, value);
    else bad.push(`generate.${name}`);
  }
  const settings = readFields(PARTS.generate, "generate", params, bad);
  return { model: typeof found.model === "string" ? found.model.slice(0, LONGEST_TITLE) : "", settings, bad };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
