/** Figures of the benchmark as rows of a table: medians, rates, ratios. No page, no engine. */

import type { Figure as Raw } from "../../protocol.ts";

/** See `maetok::bench::Figure`. */
export interface Figure {
  name: string;
  seconds: number[];
  flop: number;
  bytes: number;
  dispatches: number;
}

export type Route = "by-adapter" | "plain";

/** What was measured, in the order it was. */
export interface Measured {
  route: Route;
  figures: Figure[];
}

export interface Row {
  /** The figure's name without the way it was computed. */
  name: string;
  /** All in milliseconds. */
  median: number;
  fastest: number;
  slowest: number;
  /** A rate and its unit, where the work was counted. */
  rate: [number, "GFLOP/s" | "GB/s"] | null;
  /** The same by plain operations; null if that was not measured. */
  plain: number | null;
}

/** Checks what came from the worker: numbers that are none would be shown as such. */
export function asFigures(raw: readonly Raw[]): Figure[] {
  return raw.map(({ name, seconds, flop, bytes, dispatches }) => {
    if (typeof name !== "string" || !Array.isArray(seconds) || seconds.length === 0 || !seconds.every((one) => Number.isFinite(one))) throw new Error("the engine's figures are not what they were");
    return { name, seconds: seconds as number[], flop: Number(flop ?? 0), bytes: Number(bytes ?? 0), dispatches: Number(dispatches ?? 0) };
  });
}

export function rows(measured: readonly Measured[]): Row[] {
  const of = (route: Route) => measured.filter((one) => one.route === route).flatMap(({ figures }) => figures);
  const plain = new Map(of("plain").map((figure) => [plainName(figure.name), median(figure.seconds)]));
  return of("by-adapter").map(({ name, seconds, flop, bytes }) => {
    const middle = median(seconds);
    const other = plain.get(plainName(name));
    return {
      name: plainName(name),
      median: middle * 1000,
      fastest: Math.min(...seconds) * 1000,
      slowest: Math.max(...seconds) * 1000,
      rate: middle <= 0 ? null : flop > 0 ? [flop / middle / 1e9, "GFLOP/s"] : bytes > 0 ? [bytes / middle / 1e9, "GB/s"] : null,
      plain: other === undefined ? null : other * 1000,
    };
  });
}

/** `linear 385 x 768 x 3072, loops on the CPU` without its end: which way it was computed has a column of its own. */
function plainName(name: string): string {
  return name.replace(/^(linear [^,]*),.*$/, "$1");
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
