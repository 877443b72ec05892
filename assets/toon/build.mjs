// Builds Toon: node build.mjs --size 64 --out ../../data/toon-64 [--images-per-style 1250]
//
// Writes OUT.partial and renames it at the end, so OUT is always a whole data set or absent.

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { attributions } from './lib/attributions.mjs';
import { contactSheet } from './lib/sheet.mjs';

const OWN_FILES = ['attributions.json', 'classes.json', 'contact-sheet.png', 'held-out', 'train'];

/** Only a former data set (or nothing, or what an interrupted run left) may be replaced. */
function checkReplaceable(folder) {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw new Error(`${folder} is a file: choose another --out.`);
  const names = readdirSync(folder);
  const foreign = names.filter((name) => !OWN_FILES.includes(name));
  const finished = names.includes('attributions.json') && names.includes('classes.json');
  if (foreign.length > 0 || (names.length > 0 && !finished && !folder.endsWith('.partial'))) {
    throw new Error(`${folder} holds something that is not Toon (${(foreign.length > 0 ? foreign : names).slice(0, 3).join(', ')}): choose another --out or move it away.`);
  }
}

function settings() {
  const { values } = parseArgs({ options: { size: { type: 'string', default: '64' }, out: { type: 'string' }, 'images-per-style': { type: 'string', default: '1250' } } });
  const size = Number(values.size);
  const imagesPerStyle = Number(values['images-per-style']);
  if (!Number.isInteger(size) || size < 16 || size > 512) throw new Error(`--size is ${values.size}: it must be a whole number from 16 to 512.`);
  if (!Number.isInteger(imagesPerStyle) || imagesPerStyle < 1 || imagesPerStyle > 4000) {
    throw new Error(`--images-per-style is ${values['images-per-style']}: it must be a whole number from 1 to 4000.`);
  }
  const out = path.resolve(values.out ?? `data/toon-${size}`);
  for (const folder of [out, `${out}.partial`]) checkReplaceable(folder);
  return { size, imagesPerStyle, out };
}

/** Runs every class on a few workers; resolves to a map from class name to what the worker reports. */
function drawAll(classes, workerData) {
  const started = Date.now();
  // Emoji classes first: they take longest, so no worker is left alone with one at the end.
  const waiting = [...classes].sort((a, b) => (a.style ? 1 : 0) - (b.style ? 1 : 0));
  const results = new Map();
  let images = 0;
  return new Promise((resolve, reject) => {
    const workers = Array.from({ length: Math.min(availableParallelism(), classes.length, 8) }, () => new Worker(new URL('worker.mjs', import.meta.url), { workerData }));
    const stop = (action) => Promise.all(workers.map((worker) => worker.terminate())).then(action);
    const next = (worker) => waiting.length > 0 && worker.postMessage(waiting.shift());
    for (const worker of workers) {
      worker.on('error', (error) => stop(() => reject(error)));
      worker.on('message', (message) => {
        if (message.kind === 'failed') {
          stop(() => reject(Object.assign(new Error(`The class ${message.name} could not be drawn: ${message.message}`), { code: message.code })));
          return;
        }
        images += message.images;
        if (message.kind === 'done') {
          results.set(message.name, message);
          next(worker);
        }
        const seconds = (Date.now() - started) / 1000;
        const line = `drawing: ${results.size} of ${classes.length} classes, ${images} images, ${Math.round(images / seconds)} images/s`;
        if (process.stderr.isTTY) process.stderr.write(`\r${line} `);
        else if (message.kind === 'done') process.stderr.write(`${line}\n`);
        if (results.size === classes.length) stop(() => resolve(results));
      });
      next(worker);
    }
  });
}

/** No picture may be both trained on and held out, in whatever class. */
function checkSplit(results) {
  const heldOut = new Set();
  for (const { digests } of results.values()) for (const [split, digest] of digests) if (split === 'held-out') heldOut.add(digest);
  for (const { name, digests } of results.values()) {
    for (const [split, digest] of digests) {
      if (split === 'train' && heldOut.has(digest)) throw new Error(`A training picture of ${name} is also held out in another class: exclude one of them in classes.json.`);
    }
  }
}

async function build({ size, imagesPerStyle, out }) {
  const classes = JSON.parse(readFileSync(new URL('classes.json', import.meta.url), 'utf8'));
  const sources = attributions(classes);
  const partial = `${out}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  try {
    const results = await drawAll(classes, { out: partial, size, imagesPerStyle, emojiClasses: classes.filter(({ style }) => !style) });
    checkSplit(results);
    const table = classes.map(({ name, label, group }) => ({ name, label, group, train: results.get(name).counts.train, held_out: results.get(name).counts.heldOut }));
    const writeJson = (name, value) => writeFileSync(path.join(partial, name), `${JSON.stringify(value, null, 2)}\n`);
    writeJson('classes.json', table);
    writeJson('attributions.json', sources);
    writeFileSync(path.join(partial, 'contact-sheet.png'), contactSheet(classes.map(({ name }) => results.get(name).row), size));
    rmSync(out, { recursive: true, force: true });
    renameSync(partial, out);
    const total = (field) => table.reduce((sum, row) => sum + row[field], 0);
    process.stderr.write(`\n${out}: ${total('train')} training and ${total('held_out')} held-out images of ${table.length} classes\n`);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}

const advice = {
  ENOSPC: 'the disk is full; free some space (64 pixels need about 150 MB) or choose another --out.',
  EACCES: 'that folder cannot be written to: choose another --out.',
  EROFS: 'that folder cannot be written to: choose another --out.',
};
try {
  await build(settings());
} catch (error) {
  process.stderr.write(`\nToon was not built: ${advice[error.code] ?? error.message}\n`);
  process.exitCode = 1;
}
