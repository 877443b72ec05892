// Where everything comes from. Titles, artists and licences of avatars and of the icon packages are read
// from the packages themselves; the rest is stated here.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { styleMeta } from './avatars.mjs';
import { SETS } from './emoji.mjs';

/** Licences under which trained weights and small pictures may be passed on, with attribution where asked. */
export const ALLOWED_LICENCES = ['CC0-1.0', 'CC-BY-4.0', 'MIT', 'Apache-2.0'];

/** The avatar package's names of its licences. */
const SPDX = { 'CC BY 4.0': 'CC-BY-4.0', 'CC0 1.0': 'CC0-1.0' };

/** Sets whose package.json does not say who drew them. */
const SET_ART = {
  'fluent-3d': { title: 'Fluent Emoji, 3D', artist: 'Microsoft', licence: 'MIT', source: 'https://github.com/microsoft/fluentui-emoji' },
  noto: { title: 'Noto Color Emoji', artist: 'Google', licence: 'Apache-2.0', source: 'https://github.com/googlefonts/noto-emoji' },
};

const readJson = (file) => JSON.parse(readFileSync(fileURLToPath(new URL(`../node_modules/${file}`, import.meta.url)), 'utf8'));
const installed = (name) => readJson(`${name}/package.json`);

/** Title, artist, licence and source of an emoji set; icon packages state them in info.json. */
function setArt({ id, package: name }) {
  if (id in SET_ART) return SET_ART[id];
  const { name: title, author, license } = readJson(`${name}/info.json`);
  return { title, artist: author.name, licence: license.spdx, licence_url: license.url, source: author.url };
}

/** One entry per avatar style, emoji set and label source. Throws on a licence that is not allowed. */
export function attributions(classes) {
  const collection = installed('@dicebear/collection').version;
  const entries = [
    ...classes.filter(({ style }) => style).map(({ name, style }) => {
      const { title, creator, source, license } = styleMeta(style);
      return {
        use: `pictures of the class ${name}`, package: '@dicebear/collection', version: collection,
        title, artist: creator, source, licence: SPDX[license.name] ?? license.name, licence_url: license.url,
        changes: 'drawn from random seeds, laid on a plain background, reduced',
      };
    }),
    ...SETS.map((set) => ({
      use: `pictures of the emoji classes, files named *-${set.id}*`, package: set.package, version: installed(set.package).version, ...setArt(set),
      changes: 'laid on a plain background, reduced; most also mirrored, turned, scaled, shifted and slightly recoloured',
    })),
    {
      use: 'code points and subcategories of emoji', package: 'emoji-datasource-google', version: installed('emoji-datasource-google').version,
      title: 'emoji-data', artist: 'Cal Henderson', licence: 'MIT', source: 'https://github.com/iamcal/emoji-data', changes: 'pruned by hand',
    },
  ];
  for (const { title, licence } of entries) {
    if (!ALLOWED_LICENCES.includes(licence)) throw new Error(`${title} is under ${licence}, which Toon does not use: take its class out of classes.json.`);
  }
  return entries;
}
