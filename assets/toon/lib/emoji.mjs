// Emoji: one class per group of Unicode subcategories, pruned by hand in classes.json; every concept is
// drawn by up to five sets.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHash } from 'node:crypto';
import { Draws, hash32, isHeldOut } from './chance.mjs';
import { PASTELS, decodeFile, drawSvg, place, visibleBox } from './raster.mjs';

const MODULES = fileURLToPath(new URL('../node_modules/', import.meta.url));
const readJson = (file) => JSON.parse(readFileSync(path.join(MODULES, file), 'utf8'));

/** One concept family in this many is never trained on. */
export const HELD_OUT_PARTS = 10;
/** Training images of an emoji class: about half of an avatar style's, from a tenth as many drawings. */
export const TRAIN_PER_CLASS = 600;

/** The sets, best looking first: of two equal drawings the earlier one is kept. */
export const SETS = [
  { id: 'fluent-3d', package: '@lobehub/fluent-emoji-3d', files: 'assets' },
  { id: 'fluent-flat', package: '@iconify-json/fluent-emoji-flat' },
  { id: 'noto', package: 'emoji-datasource-google', files: 'img/google/64' },
  { id: 'twemoji', package: '@iconify-json/twemoji' },
  { id: 'emojione', package: '@iconify-json/emojione' },
];

const SKIN_TONE = /(^|-)1f3f[b-f](-|$)/;

/** Lower-case code points joined with "-", variation selector dropped: "2764-FE0F" is "2764". */
export function codePointKey(unified) {
  return unified.toLowerCase().split(/[-_ ]/).filter((point) => point !== 'fe0f').join('-');
}

/** A concept and its variants (woman, man, black, brown, on fire) share the first code point, and are held out together. */
export function family(key) {
  return key.split('-')[0];
}

/** Map from class name to its sorted keys. Throws if a key would be in two classes or a listed key does not exist. */
export function assignConcepts(classes, dataset) {
  const bySubcategory = new Map();
  const known = new Set();
  for (const { unified, subcategory } of dataset) {
    const key = codePointKey(unified);
    known.add(key);
    bySubcategory.set(subcategory, [...(bySubcategory.get(subcategory) ?? []), key]);
  }
  const owner = new Map();
  const concepts = new Map();
  for (const { name, subcategories, include = [], exclude = [] } of classes) {
    for (const key of [...include, ...exclude]) {
      if (!known.has(key)) throw new Error(`classes.json: ${name} lists ${key}, which is no emoji of the data set.`);
    }
    const keys = subcategories.flatMap((subcategory) => {
      if (!bySubcategory.has(subcategory)) throw new Error(`classes.json: ${name} lists ${subcategory}, which is no subcategory.`);
      return bySubcategory.get(subcategory);
    });
    const chosen = [...new Set([...keys, ...include])].filter((key) => !exclude.includes(key) && !SKIN_TONE.test(key)).sort();
    for (const key of chosen) {
      if (owner.has(key)) throw new Error(`classes.json: ${key} is in both ${owner.get(key)} and ${name}.`);
      owner.set(key, name);
    }
    concepts.set(name, chosen);
  }
  return concepts;
}

/** Loads the labels and the drawings' places once. */
export function openEmoji(classes) {
  const concepts = assignConcepts(classes, readJson('emoji-datasource-google/emoji.json'));
  // Only some icon packages carry code points; the names are common to all.
  const keyOfName = new Map();
  for (const source of ['@iconify-json/fluent-emoji-flat', '@iconify-json/twemoji']) {
    for (const [unified, name] of Object.entries(readJson(`${source}/chars.json`))) keyOfName.set(name, codePointKey(unified));
  }
  const sets = SETS.map((set) => {
    const byKey = new Map();
    if (set.files) {
      for (const file of readdirSync(path.join(MODULES, set.package, set.files)).sort()) {
        byKey.set(codePointKey(path.parse(file).name), { file: path.join(MODULES, set.package, set.files, file) });
      }
    } else {
      const icons = readJson(`${set.package}/icons.json`);
      const side = { width: icons.width ?? 16, height: icons.height ?? 16 };
      for (const [name, icon] of Object.entries(icons.icons)) {
        if (!keyOfName.has(name)) continue;
        const { body, left = 0, top = 0, width, height } = { ...side, ...icon };
        const box = `${left} ${top} ${width} ${height}`;
        byKey.set(keyOfName.get(name), { svg: `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="${box}">${body}</svg>` });
      }
    }
    return { ...set, byKey };
  });
  return { concepts, sets };
}

/** One set's drawing of a concept, or null where the set has none. Vector art is drawn `width` pixels wide. */
export async function drawing(set, key, width) {
  const source = set.byKey.get(key);
  if (!source) return null;
  const drawn = source.file ? await decodeFile(source.file) : drawSvg(source.svg, width);
  return visibleBox(drawn) ? drawn : null;
}

/** How variant `variant` of a drawing is placed. Variant 0 is upright and true in colour. */
export function placement(name, variant, mirrorable) {
  const draws = new Draws(`${name} ${variant}`);
  const background = draws.pick(PASTELS);
  if (variant === 0) return { background };
  return {
    background,
    mirror: mirrorable && draws.uniform() < 0.5,
    fill: draws.between(0.74, 0.92),
    angle: draws.between(-8, 8),
    shift: [draws.between(-0.03, 0.03), draws.between(-0.03, 0.03)],
    hue: draws.between(-8, 8),
  };
}

/** Yields { split, name, pixels } for a class: every held-out drawing once, then `TRAIN_PER_CLASS` training images. */
export async function* emoji(entry, { concepts, sets }, size) {
  const known = new Set();
  const train = [];
  const keys = concepts.get(entry.name);
  const heldOut = (key) => isHeldOut(family(key), HELD_OUT_PARTS);
  // Held-out concepts go first, so that a drawing which serves two concepts is not trained on.
  for (const key of [...keys.filter(heldOut), ...keys.filter((key) => !heldOut(key))]) {
    for (const set of sets) {
      const drawn = await drawing(set, key, Math.min(512, Math.max(128, 2 * size)));
      if (!drawn) continue;
      const digest = createHash('sha256').update(drawn.rgba).digest('hex');
      if (known.has(digest)) continue;
      known.add(digest);
      const name = `${key}-${set.id}`;
      if (heldOut(key)) yield { split: 'held-out', name: `${name}.png`, pixels: place(drawn, size, placement(name, 0)) };
      else train.push({ name, key, drawn });
    }
  }
  // The same number of images for every class; where it does not divide, a hash says who gets one more.
  train.sort((a, b) => hash32(a.name) - hash32(b.name));
  for (const [rank, { name, key, drawn }] of train.entries()) {
    const variants = Math.max(1, Math.floor(TRAIN_PER_CLASS / train.length) + (rank < TRAIN_PER_CLASS % train.length ? 1 : 0));
    const mirrorable = entry.mirror !== false && !(entry.keepLeftRight ?? []).includes(key);
    for (let variant = 0; variant < variants; variant++) {
      yield { split: 'train', name: `${name}-${variant}.png`, pixels: place(drawn, size, placement(name, variant, mirrorable)) };
    }
  }
}
