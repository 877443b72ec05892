/** What is shown of a step: what the network takes the picture to be, where the run stands, or both. */

import { boundSegments } from "../../ui/segments.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";

export function previewChoice({ store, signal }: Lab): HTMLElement {
  const { preview, previews } = words().generate;
  return boundSegments("generate", "preview", preview, previews, store, signal).element;
}
