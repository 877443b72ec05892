/** The panels in the order of their tabs. A panel's code is loaded when it is shown for the first time. */

import type { ModelSummary } from "../protocol.ts";
import type { PanelName } from "../state/state.ts";
import { words } from "../words/index.ts";
import type { PanelModule } from "./panel.ts";

export interface PanelEntry {
  name: PanelName;
  title: () => string;
  load: () => Promise<PanelModule>;
  /** Whether there is anything to show of this model; left out: of every model. */
  suits?: (model: ModelSummary) => boolean;
}

export const PANELS: readonly PanelEntry[] = [
  { name: "generate", title: () => words().generate.tab, load: () => import("./generate/index.ts"), suits: (model) => model.classes.length > 0 },
  { name: "reconstruct", title: () => words().reconstruct.tab, load: () => import("./reconstruct/index.ts") },
  { name: "mix", title: () => words().mix.tab, load: () => import("./mix/index.ts") },
  { name: "compare", title: () => words().compare.tab, load: () => import("./compare/index.ts"), suits: (model) => model.generates && model.classes.length > 0 },
  { name: "map", title: () => words().map.tab, load: () => import("./map/index.ts"), suits: (model) => model.map !== null },
  { name: "machine", title: () => words().diagnosis.tab, load: () => import("./machine/index.ts") },
];
