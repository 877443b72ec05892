/**
 * Colours for numbers with a sign: blue below 0, red above, and at 0 what the page is made of. On light ground the ends are
 * those of ColorBrewer's RdBu (Brewer 2003), which the colour-blind can tell apart; on dark ground lighter ones.
 */

type Colour = readonly [red: number, green: number, blue: number];

const LIGHT: readonly Colour[] = [[33, 102, 172], [103, 169, 207], [247, 247, 247], [239, 138, 98], [178, 24, 43]];
const DARK: readonly Colour[] = [[140, 200, 255], [58, 117, 186], [38, 41, 47], [191, 78, 62], [255, 176, 158]];

/** Whether the page is dark at the moment. */
export const darkness = () => window.matchMedia("(prefers-color-scheme: dark)");

/** `value` from -1 to 1; what lies beyond has the colour of the end. */
export function diverging(value: number, dark = darkness().matches): Colour {
  const stops = dark ? DARK : LIGHT;
  const at = (Math.min(Math.max(value, -1), 1) + 1) * ((stops.length - 1) / 2);
  const below = Math.min(Math.floor(at), stops.length - 2);
  const [from, to] = [stops[below]!, stops[below + 1]!];
  return [0, 1, 2].map((c) => Math.round(from[c]! + (to[c]! - from[c]!) * (at - below))) as unknown as Colour;
}

/** A picture of numbers, `width` to a row, between `-range` and `range`. */
export function painted(map: Float32Array, width: number, range: number): { rgba: Uint8ClampedArray<ArrayBuffer>; width: number; height: number } {
  const rgba = new Uint8ClampedArray(map.length * 4);
  const dark = darkness().matches;
  // As many colours as an eye can tell apart.
  const table = Array.from({ length: 513 }, (_, i) => diverging((i - 256) / 256, dark));
  map.forEach((value, i) => {
    rgba.set(table[Math.round(Math.min(Math.max(value / range, -1), 1) * 256) + 256]!, i * 4);
    rgba[i * 4 + 3] = 255;
  });
  return { rgba, width, height: map.length / width };
}
