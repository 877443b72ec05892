/** How much memory there is in use, and which versions of everything. */

import { bytes } from "../../format.ts";
import { words } from "../../words/index.ts";
import { h } from "../../ui/dom.ts";
import { code, facts, part } from "./facts.ts";
import type { Findings } from "./findings.ts";

export class MemoryPart {
  readonly #facts = h("div", {});
  readonly element = part("memory", words().diagnosis.memory.title, this.#facts);

  show({ memory, heap, weights, page, model }: Findings): void {
    const text = words().diagnosis.memory;
    this.#facts.replaceChildren(
      facts([
        [text.engine, memory === null ? text.notThere : bytes(memory)],
        [text.weights, weights === null ? null : text.weightsHint(bytes(weights))],
        [text.heap, heap === null ? text.untold : bytes(heap)],
        [text.page, page.build ? text.build(page.version, page.build) : text.unbuilt(page.version)],
        [text.model, model?.title ?? null],
        [text.wasm, code(page.wasmSha256)],
        [text.manifest, model?.manifestSha256 ? code(model.manifestSha256) : null],
      ]),
    );
  }
}
