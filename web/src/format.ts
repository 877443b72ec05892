/** Numbers with their units, in the language of the page. */

import { lang, words } from "./words/index.ts";

const formats = new Map<string, Intl.NumberFormat>();

/** A number with exactly `digits` digits after the point, which in German is a comma. No mark between thousands. */
export function number(value: number, digits = 0): string {
  const key = `${lang()} ${digits}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(lang(), { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false });
    formats.set(key, format);
  }
  return format.format(value);
}

export function bytes(count: number): string {
  if (count < 1e6) return `${number(Math.ceil(count / 1e3))} kB`;
  if (count < 1e9) return `${number(count / 1e6, count < 1e7 ? 1 : 0)} MB`;
  return `${number(count / 1e9, count < 1e10 ? 1 : 0)} GB`;
}

export function duration(ms: number): string {
  if (ms < 950) return `${number(Math.round(ms / 10) * 10)} ms`;
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${number(seconds, 1)} s`;
  if (seconds < 59.5) return `${number(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  return `${number(minutes)} min ${number(Math.round(seconds) % 60)} s`;
}

/** Time left of a task that has done `done` of `total` in `ms`; empty while too little is known. */
export function timeLeft(done: number, total: number, ms: number): string {
  if (done <= 0 || done >= total || ms < 300) return "";
  return words().shell.task.left(duration((ms / done) * (total - done)));
}
