// Draws whole classes, one at a time, as build.mjs hands them out. A class depends on its own name and
// settings only, so the order and the number of workers change nothing.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { avatars } from './lib/avatars.mjs';
import { hash32 } from './lib/chance.mjs';
import { emoji, openEmoji } from './lib/emoji.mjs';
import { png } from './lib/raster.mjs';
import { HELD_OUT_COLUMNS, TRAIN_COLUMNS } from './lib/sheet.mjs';

const { out, size, imagesPerStyle, emojiClasses } = workerData;
const sources = openEmoji(emojiClasses);

/** Keeps the `count` images whose names hash lowest: a fair sample of any number of images, in little memory. */
class Sample {
  #count;
  #kept = [];

  constructor(count) {
    this.#count = count;
  }

  offer(name, pixels) {
    this.#kept.push({ rank: hash32(`sheet ${name}`), pixels });
    this.#kept.sort((a, b) => a.rank - b.rank).splice(this.#count);
  }

  pixels() {
    return this.#kept.map(({ pixels }) => pixels);
  }
}

async function drawClass(entry) {
  const counts = { 'held-out': 0, train: 0 };
  const samples = { 'held-out': new Sample(HELD_OUT_COLUMNS), train: new Sample(TRAIN_COLUMNS) };
  const seen = new Set();
  const digests = [];
  for (const split of Object.keys(counts)) mkdirSync(path.join(out, split, entry.name), { recursive: true });
  const images = entry.style ? avatars(entry.style, entry.name, imagesPerStyle, size) : emoji(entry, sources, size);
  let sinceReport = 0;
  for await (const { split, name, pixels } of images) {
    const bytes = png(pixels, size);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (seen.has(digest)) continue; // held-out images come first, so a repeated one stays held out
    seen.add(digest);
    digests.push([split, digest]);
    writeFileSync(path.join(out, split, entry.name, name), bytes);
    counts[split]++;
    samples[split].offer(name, pixels);
    if (++sinceReport === 100) {
      parentPort.postMessage({ kind: 'progress', images: sinceReport });
      sinceReport = 0;
    }
  }
  return {
    kind: 'done',
    images: sinceReport,
    name: entry.name,
    counts: { train: counts.train, heldOut: counts['held-out'] },
    digests,
    row: { train: samples.train.pixels(), heldOut: samples['held-out'].pixels() },
  };
}

parentPort.on('message', async (entry) => {
  try {
    parentPort.postMessage(await drawClass(entry));
  } catch (error) {
    parentPort.postMessage({ kind: 'failed', name: entry.name, code: error.code, message: error.message });
  }
});
