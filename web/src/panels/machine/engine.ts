/** The engine, its adapter with all its names, and which kernels it uses. */

import { number } from "../../format.ts";
import { isSoftware } from "../../diagnosis.ts";
import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { code, facts, type Fact, part } from "./facts.ts";
import type { Findings } from "./findings.ts";

/** How the session names the row of its diagnosis. */
const SELF_TEST = "Self-test of the kernels";

export class EnginePart {
  readonly #facts = h("div", {});
  readonly #limits = h("details", { hidden: true });
  readonly #features = h("details", { hidden: true });
  readonly element = part("engine", words().diagnosis.engine.title, this.#facts, this.#limits, this.#features);

  show({ diagnosis, device, adapter }: Findings): void {
    const text = words().diagnosis.engine;
    const { found } = words().machine;
    const name = (value: string | undefined) => value || h("span", { class: "hint" }, text.unnamed);
    const software = adapter !== null && isSoftware({ ...adapter, fallback: false, limits: {} as never });
    const rows: Fact[] = [
      [text.engine, h("span", {}, h("span", { class: "badge", "data-engine": diagnosis?.engine ?? "none" }, found(diagnosis?.badge ?? "?")), " ", found(diagnosis?.reason ?? ""))],
      [text.device, device ? `${device.name ?? device.kind}${device.software ? ` (${text.software})` : ""}` : text.notStarted],
      [text.interface, device?.backend ?? null],
      [text.kernels, device ? kernels(device) : null],
      [text.selfTest, found(diagnosis?.checks.find((check) => check.name === SELF_TEST)?.value ?? "") || text.untested],
    ];
    if (adapter) {
      rows.push(
        [text.vendor, name(adapter.vendor)],
        [text.architecture, name(adapter.architecture)],
        [text.product, name(adapter.device)],
        [text.description, software ? h("span", {}, name(adapter.description), " ", h("span", { class: "badge" }, text.software)) : name(adapter.description)],
      );
    } else rows.push([text.product, text.noAdapter]);
    this.#facts.replaceChildren(facts(rows));

    const limits = Object.entries(adapter?.limits ?? {});
    this.#limits.hidden = limits.length === 0;
    this.#limits.replaceChildren(h("summary", {}, text.limits(number(limits.length))), facts(limits.map(([name, value]) => [breakable(name), limit(name, value)] as const).map(([name, value]) => [name, value])));
    const features = adapter?.features ?? [];
    this.#features.hidden = features.length === 0;
    this.#features.replaceChildren(h("summary", {}, text.features(number(features.length))), h("ul", { class: "chips" }, ...features.map((feature) => h("li", {}, code(feature)))));
  }
}

function kernels({ kind, disabled_kernels: left, self_test: test }: NonNullable<Findings["device"]>): string | Node {
  const text = words().diagnosis.engine;
  if (kind === "cpu") return text.loops;
  if (left.length > 0) return h("span", {}, `${text.leftOut}: `, h("ul", {}, ...left.map((fault) => h("li", {}, code(fault)))));
  // A line of what the self-test keeps tells of which steps the tiles won, where that was measured.
  const tiles = /^tiles:(.*)$/m.exec(test?.text ?? "")?.[1]?.trim().split(" ").filter(Boolean);
  if (!tiles) return text.allKernels;
  return tiles.length > 0 ? text.tiles(tiles.join(", ")) : text.noTiles;
}

/** A long name may be broken before its capitals. */
function breakable(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "\u200B");
}

function limit(name: string, value: number): string {
  if (!/(BufferSize|BindingSize|StorageSize|Alignment|Stride|BytesPerSample)$/.test(name)) return number(value);
  // Powers of two, which tens of thousands do not become.
  if (value >= 2 ** 20 && value % 2 ** 20 === 0) return `${number(value / 2 ** 20)} MiB`;
  return value >= 2 ** 10 && value % 2 ** 10 === 0 ? `${number(value / 2 ** 10)} KiB` : `${number(value)} B`;
}
