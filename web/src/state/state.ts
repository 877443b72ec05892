/** The state of the whole page: which panel is shown, and every panel's settings. The one list of what there is. */

import { fields as compare } from "../panels/compare/fields.ts";
import { fields as generate } from "../panels/generate/fields.ts";
import { fields as machine } from "../panels/machine/fields.ts";
import { fields as map } from "../panels/map/fields.ts";
import { fields as mix } from "../panels/mix/fields.ts";
import { fields as reconstruct } from "../panels/reconstruct/fields.ts";
import { defaults, type Values } from "./schema.ts";

/** Every panel's fields, by the panel's name. */
export const PARTS = { generate, reconstruct, mix, compare, map, machine } as const;

export type PanelName = keyof typeof PARTS;

/** The settings of every panel. */
export type Settings = { readonly [P in PanelName]: Values<(typeof PARTS)[P]> };

export type State = Settings & { readonly panel: PanelName };

/** What changes: any of the fields of any of the parts. */
export type Patch = { readonly panel?: PanelName } & { readonly [P in PanelName]?: Partial<Settings[P]> };

export const PANEL_NAMES = Object.keys(PARTS) as PanelName[];

/** The state of a page nobody has touched. */
export function untouched(panel: PanelName = "generate"): State {
  const settings = Object.fromEntries(PANEL_NAMES.map((name) => [name, defaults(PARTS[name])])) as unknown as Settings;
  return { panel, ...settings };
}
