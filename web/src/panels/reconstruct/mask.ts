/** Which patches the encoder must not see: a share of them by chance, changed by the brush. */

import { type Bits, difference, parseBits, printBits } from "./bits.ts";
import { chance, permutation, PURPOSE } from "./chance.ts";

export interface MaskSettings {
  share: number;
  maskSeed: string;
  brush: string;
}

/** 1 for each patch that is hidden. With a larger share the patches of a smaller one stay hidden. */
export function hiddenPatches(settings: MaskSettings, count: number): Bits {
  return difference(byChance(settings, count), parseBits(settings.brush, count));
}

/** What `brush` must be for exactly the `wanted` patches to be hidden. */
export function brushFor(wanted: Bits, settings: MaskSettings): string {
  return printBits(difference(byChance(settings, wanted.length), wanted));
}

function byChance({ share, maskSeed }: MaskSettings, count: number): Bits {
  const mask = new Uint8Array(count);
  if (share === 0) return mask;
  const order = permutation(chance(maskSeed, PURPOSE.mask), count);
  for (const patch of order.slice(0, Math.round((share / 100) * count))) mask[patch] = 1;
  return mask;
}
