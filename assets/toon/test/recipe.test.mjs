import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decode } from 'fast-png';
import { ALLOWED_LICENCES, attributions } from '../lib/attributions.mjs';
import { avatars, seedOf } from '../lib/avatars.mjs';
import { Draws, hash32, isHeldOut } from '../lib/chance.mjs';
import { HELD_OUT_PARTS, assignConcepts, codePointKey, family, openEmoji, placement } from '../lib/emoji.mjs';
import { hueMatrix, place, png, shrink } from '../lib/raster.mjs';

const folder = fileURLToPath(new URL('..', import.meta.url));
const classes = JSON.parse(readFileSync(path.join(folder, 'classes.json'), 'utf8'));
const emojiClasses = classes.filter(({ style }) => !style);

test('the split is a fixed function of the name', () => {
  // SHA-256 of "abc" starts ba7816bf (FIPS 180-4, example B.1).
  assert.equal(hash32('abc'), 0xba7816bf);
  const seeds = Array.from({ length: 20000 }, (_, n) => seedOf('lorelei', n));
  const share = seeds.filter((seed) => isHeldOut(seed, 20)).length / seeds.length;
  assert.ok(Math.abs(share - 1 / 20) < 0.005, `${share}`);
  assert.deepEqual(seeds.filter((seed) => isHeldOut(seed, 20)).slice(0, 3), ['399b6b611b868246', '712b8164667bd5d1', '2b42b334b36ea683']);
});

test('draws depend on their name alone and fill the unit interval', () => {
  const list = (name) => Array.from({ length: 1000 }, ((draws) => () => draws.uniform())(new Draws(name)));
  assert.deepEqual(list('a'), list('a'));
  assert.notDeepEqual(list('a'), list('b'));
  const mean = list('a').reduce((sum, value) => sum + value, 0) / 1000;
  assert.ok(Math.abs(mean - 0.5) < 0.03, `${mean}`);
});

test('code points are normalised: lower case, no variation selector', () => {
  assert.equal(codePointKey('2764-FE0F-200D-1F525'), '2764-200d-1f525');
  assert.equal(codePointKey('1F436'), '1f436');
  assert.equal(codePointKey('1f441_fe0f'), '1f441');
  assert.equal(family('1f9d9-200d-2640'), family('1f9d9'));
});

test('no emoji is in two classes, has a skin tone, or is unknown', () => {
  const { concepts } = openEmoji(emojiClasses);
  const all = [...concepts.values()].flat();
  assert.equal(new Set(all).size, all.length);
  assert.ok(all.every((key) => !/1f3f[b-f]/.test(key)));
  const dataset = [{ unified: '1F436', subcategory: 'pets' }, { unified: '1F431', subcategory: 'pets' }];
  const pets = { name: 'pets', subcategories: ['pets'] };
  assert.deepEqual(assignConcepts([{ ...pets, exclude: ['1f431'] }], dataset).get('pets'), ['1f436']);
  assert.throws(() => assignConcepts([pets, { ...pets, name: 'dogs' }], dataset), /1f431 is in both pets and dogs/);
  assert.throws(() => assignConcepts([{ ...pets, exclude: ['1f600'] }], dataset), /1f600, which is no emoji/);
});

test('every emoji class holds out some of its concepts, never half of them', () => {
  for (const [name, keys] of openEmoji(emojiClasses).concepts) {
    const heldOut = keys.filter((key) => isHeldOut(family(key), HELD_OUT_PARTS)).length;
    assert.ok(heldOut >= 1 && heldOut < keys.length / 2, `${name}: ${heldOut} of ${keys.length}`);
  }
});

test('hand-pruned strays stay out', () => {
  const all = new Set([...openEmoji(emojiClasses).concepts.values()].flat());
  const strays = { 'traffic light': '1f6a5', seat: '1f4ba', luggage: '1f9f3', 'flower with Japanese text': '1f4ae', clock: '1f550', 'pig nose': '1f43d' };
  for (const [name, key] of Object.entries(strays)) assert.ok(!all.has(key), name);
});

test('every source has an allowed licence, and none of the sources that were ruled out is used', () => {
  for (const { package: name, version, licence, artist } of attributions(classes)) {
    assert.ok(ALLOWED_LICENCES.includes(licence), `${name}: ${licence}`);
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.ok(artist, name);
  }
  const packages = Object.keys(JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')).dependencies).join(' ');
  assert.doesNotMatch(packages, /openmoji|apple|facebook|iconify-json\/noto/);
  assert.ok(classes.every(({ style }) => !['avataaars', 'bottts', 'initials', 'glass', 'icons', 'identicon'].includes(style)));
});

test('names are kebab-case and unique, and versions exact', () => {
  assert.equal(new Set(classes.map(({ name }) => name)).size, classes.length);
  for (const { name, group } of classes) {
    assert.match(name, /^[a-z]+(-[a-z]+)*$/);
    assert.ok(['Avatars', 'Emoji'].includes(group));
  }
  const { dependencies } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  for (const [name, version] of Object.entries(dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/, name);
  assert.doesNotMatch(readFileSync(path.join(folder, 'package-lock.json'), 'utf8'), /"resolved"/);
});

test('a transparent drawing shows the background, an opaque one its own colour', () => {
  const half = { width: 2, height: 2, rgba: Uint8Array.from([200, 100, 0, 255, 0, 0, 0, 0, 200, 100, 0, 255, 0, 0, 0, 0]) };
  assert.deepEqual([...shrink(half, 2, 1, [0, 0, 100])], [100, 50, 50]);
  const red = { width: 4, height: 4, rgba: Uint8Array.from(Array.from({ length: 16 }, () => [255, 0, 0, 255]).flat()) };
  const placed = place(red, 16, { background: [10, 20, 30], fill: 0.5 });
  assert.deepEqual([...placed.subarray(0, 3)], [10, 20, 30]);
  assert.deepEqual([...placed.subarray(3 * (8 * 16 + 8), 3 * (8 * 16 + 8) + 3)], [255, 0, 0]);
});

test('mirroring swaps left and right and nothing else', () => {
  const rgba = Uint8Array.from(Array.from({ length: 64 }, (_, i) => [i * 4, (i % 8) * 30, 50, 255]).flat());
  const drawing = { width: 8, height: 8, rgba };
  const [plain, mirrored] = [false, true].map((mirror) => place(drawing, 16, { background: [0, 0, 0], mirror }));
  const columns = Array.from({ length: 256 }, (_, i) => 16 * Math.floor(i / 16) + 15 - (i % 16));
  const back = columns.flatMap((at) => [...mirrored.subarray(3 * at, 3 * at + 3)]);
  assert.deepEqual(back, [...plain]);
});

test('turning hues keeps greys, and by nothing keeps everything', () => {
  for (const [row, identity] of [[0, [1, 0, 0]], [1, [0, 1, 0]], [2, [0, 0, 1]]]) {
    hueMatrix(0).slice(3 * row, 3 * row + 3).forEach((value, i) => assert.ok(Math.abs(value - identity[i]) < 1e-9));
    const grey = hueMatrix(8).slice(3 * row, 3 * row + 3).reduce((sum, value) => sum + value);
    assert.ok(Math.abs(grey - 1) < 1e-9);
  }
});

test('the first variant of a drawing is upright and true in colour; buildings are never mirrored', () => {
  assert.deepEqual(Object.keys(placement('x', 0, true)), ['background']);
  for (let variant = 1; variant < 50; variant++) assert.equal(placement('x', variant, false).mirror, false);
  assert.ok(Array.from({ length: 50 }, (_, v) => placement('x', v + 1, true).mirror).some(Boolean));
});

test('a style gives different drawings, the held-out ones first, as 8-bit RGB', () => {
  const images = [...avatars('thumbs', 'thumbs', 5, 16)];
  assert.equal(images.filter(({ split }) => split === 'train').length, 5);
  assert.ok(images.slice(0, -5).every(({ split }) => split === 'held-out'));
  const { width, height, channels, depth, data } = decode(png(images[0].pixels, 16));
  assert.deepEqual({ width, height, channels, depth }, { width: 16, height: 16, channels: 3, depth: 8 });
  assert.deepEqual([...data], [...images[0].pixels]);
});

test('a foreign folder, a bad size and a bad number are refused in one sentence and nothing is touched', () => {
  const root = mkdtempSync(path.join(tmpdir(), 'toon-'));
  const run = (...args) => spawnSync(process.execPath, [path.join(folder, 'build.mjs'), ...args], { encoding: 'utf8' });
  try {
    const mine = path.join(root, 'mine');
    mkdirSync(path.join(mine, 'train'), { recursive: true });
    writeFileSync(path.join(root, 'file'), '');
    for (const [args, words] of [
      [['--out', mine], /holds something that is not Toon \(train\)/],
      [['--out', path.join(root, 'file')], /is a file/],
      [['--out', path.join(root, 'new'), '--size', '15'], /--size is 15: it must be a whole number from 16 to 512/],
      [['--out', path.join(root, 'new'), '--images-per-style', 'many'], /--images-per-style is many/],
    ]) {
      const { status, stderr } = run(...args);
      assert.equal(status, 1);
      assert.match(stderr, words);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    }
    assert.deepEqual(readdirSync(mine), ['train']);
    assert.ok(!existsSync(path.join(root, 'new')));
  } finally {
    rmSync(root, { recursive: true });
  }
});
