/** The stops of the tour: on which panel, which controls, and what is said there. */

import type { PanelName } from "../state/state.ts";
import type { words } from "../words/index.ts";

export interface Stop {
  panel: PanelName;
  /** Its words in the table. */
  name: keyof ReturnType<typeof words>["tour"]["stops"];
  /**
   * What is pointed at: the first set of which anything is to be seen. So the tour goes on to the mask as soon as there
   * is a picture to be masked, and still has something to show on a page whose panels have changed.
   */
  targets: readonly (readonly string[])[];
}

const STOPS: readonly Stop[] = [
  { panel: "generate", name: "noise", targets: [["#panel-generate .task .stop"], ["#panel-generate button.primary"]] },
  { panel: "generate", name: "steps", targets: [["#panel-generate .setting:has(#steps)", "#panel-generate .setting:has(#guidance)"]] },
  { panel: "reconstruct", name: "survives", targets: [["#panel-reconstruct .drop", "#panel-reconstruct .samples"]] },
  { panel: "reconstruct", name: "mask", targets: [["#panel-reconstruct .tool.mask"], ["#panel-reconstruct .drop", "#panel-reconstruct .samples"]] },
  { panel: "mix", name: "mix", targets: [["#panel-mix .mix-film"], ["#panel-mix .sources"]] },
  { panel: "map", name: "map", targets: [["#panel-map .plot-frame"], ["#panel-map .map-door button"]] },
];

/** As many as are promised. */
const MOST = 5;

/** The stops that a page with these panels has. The map takes the place of the mixing where there is none. */
export function stopsFor(panels: readonly PanelName[]): Stop[] {
  return STOPS.filter(({ panel }) => panels.includes(panel)).slice(0, MOST);
}

/** What a stop points at now. */
export function targetsOf({ targets, panel }: Stop): HTMLElement[] {
  const sets = [...targets, [`#panel-${panel} .card h2`]];
  for (const set of sets) {
    const seen = set.flatMap((selector) => [...document.querySelectorAll<HTMLElement>(selector)]).filter((element) => element.checkVisibility());
    if (seen.length > 0) return seen;
  }
  return [];
}
