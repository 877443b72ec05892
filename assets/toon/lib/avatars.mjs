// Avatars: one class per DiceBear style. The seed string makes the drawing; the style makes the class.

import { createHash } from 'node:crypto';
import { createAvatar } from '@dicebear/core';
import * as styles from '@dicebear/collection';
import { Draws, isHeldOut } from './chance.mjs';
import { PASTELS, drawSvg, shrink } from './raster.mjs';

/** One seed in this many is never trained on. */
export const HELD_OUT_PARTS = 20;
export const HELD_OUT_PER_STYLE = 60;

/** Who drew a style, and under which licence, as the package itself says. */
export function styleMeta(style) {
  return styles[style].meta;
}

/**
 * Seed number `n` of a class. Hashed, because DiceBear's generator gives neighbouring seeds ("a-1", "a-2")
 * the same hair and face again and again.
 */
export function seedOf(className, n) {
  return createHash('sha256').update(`toon ${className} ${n}`).digest('hex').slice(0, 16);
}

/** SVG text of one avatar without background. */
export function avatarSvg(style, seed) {
  return createAvatar(styles[style], { seed, backgroundColor: ['transparent'] }).toString();
}

/** RGB bytes of one avatar. Drawn at twice the size: resvg blends touching shapes edge by edge, and halving hides the seams. */
export function avatarPixels(svg, seed, size, background = new Draws(`background ${seed}`).pick(PASTELS)) {
  return shrink(drawSvg(svg, 2 * size), 2, size, background);
}

/**
 * Yields { split, name, pixels } for a style: held-out seeds first, then `count` training seeds.
 * Two seeds may give the same drawing (backgrounds aside); only the first is kept, so no held-out drawing is trained on.
 */
export function* avatars(style, className, count, size) {
  const drawn = new Set();
  for (const [split, wanted] of [['held-out', HELD_OUT_PER_STYLE], ['train', count]]) {
    let made = 0;
    for (let n = 0; made < wanted; n++) {
      if (n > 100 * (wanted + 10)) throw new Error(`The style ${style} has fewer than ${wanted} different drawings: ask for fewer images per style.`);
      const seed = seedOf(className, n);
      if (isHeldOut(seed, HELD_OUT_PARTS) !== (split === 'held-out')) continue;
      const svg = avatarSvg(style, seed);
      if (drawn.has(svg)) continue;
      drawn.add(svg);
      made++;
      yield { split, name: `${className}-${String(n).padStart(6, '0')}.png`, pixels: avatarPixels(svg, seed, size) };
    }
  }
}
