// Draws one small picture per class for the page: node thumbnails.mjs [DIR], by default ../thumbnails.
// `node thumbnails.mjs --try N` writes a sheet try.png instead, with N avatar seeds per style to choose from.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { attributions } from './lib/attributions.mjs';
import { avatarPixels, avatarSvg, seedOf } from './lib/avatars.mjs';
import { SETS, drawing, openEmoji } from './lib/emoji.mjs';
import { PASTELS, place } from './lib/raster.mjs';
import { contactSheet } from './lib/sheet.mjs';

const SIZE = 96;
const LARGEST = 6 * 1024;

const { values, positionals } = parseArgs({ options: { try: { type: 'string' } }, allowPositionals: true });
const classes = JSON.parse(readFileSync(new URL('classes.json', import.meta.url), 'utf8'));

if (values.try) {
  const styles = classes.filter(({ style }) => style);
  const seeds = (name) => Array.from({ length: Number(values.try) }, (_, n) => seedOf(name, n));
  const rows = styles.map(({ name, style }) => ({ train: seeds(name).map((seed) => avatarPixels(avatarSvg(style, seed), seed, SIZE)), heldOut: [] }));
  writeFileSync('try.png', contactSheet(rows, SIZE));
  process.exit();
}

const folder = positionals[0] ?? fileURLToPath(new URL('../thumbnails', import.meta.url));
mkdirSync(folder, { recursive: true });
const emoji = openEmoji(classes.filter(({ style }) => !style));
const sources = attributions(classes);
const lines = [];
for (const [index, { name, label, style, thumbnail }] of classes.entries()) {
  // Emoji in the 3D set, which looks best; backgrounds in turn, so that neighbours on the page differ.
  const background = PASTELS[index % PASTELS.length];
  const seed = style && seedOf(name, thumbnail);
  const pixels = style ? avatarPixels(avatarSvg(style, seed), seed, SIZE, background)
    : place(await drawing(emoji.sets.find(({ id }) => id === SETS[0].id), thumbnail), SIZE, { background });
  const webp = await sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 3 } }).webp({ quality: 84, effort: 6, smartSubsample: true }).toBuffer();
  if (webp.length > LARGEST) throw new Error(`The thumbnail of ${name} has ${webp.length} bytes; ${LARGEST} is the limit.`);
  writeFileSync(path.join(folder, `${name}.webp`), webp);
  const { title, artist, source, licence } = sources.find(({ use }) => (style ? use.endsWith(` ${name}`) : use.includes(`*-${SETS[0].id}*`)));
  lines.push(`| \`${name}.webp\` | ${label} | ${style ? `seed \`${seed}\`` : `\`${thumbnail}\``} | [${title}](${source}) by ${artist} | ${licence} |`);
}
writeFileSync(path.join(folder, 'README.md'), `# Class pictures

One ${SIZE} × ${SIZE} WebP per class of Toon, drawn by \`node thumbnails.mjs\` in \`assets/toon\` from the packages named there, and changed:
laid on a plain background and reduced. Avatars come from the seed named, emoji from the code point named.

| File | Class | Drawn from | Origin | Licence |
|---|---|---|---|---|
${lines.join('\n')}

CC-BY-4.0: <https://creativecommons.org/licenses/by/4.0/>. CC0-1.0: <https://creativecommons.org/publicdomain/zero/1.0/>. MIT, Fluent Emoji: Copyright (c) Microsoft Corporation.
`);
process.stderr.write(`${folder}: ${classes.length} thumbnails\n`);
