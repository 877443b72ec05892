/**
 * Every word a person reads on the page, in one table per language. A translation without a key does not compile.
 *
 * The language is chosen once, when the page starts: `?lang=` in the address, else what was chosen here before, else what
 * the browser asks for, else English.
 */

import * as en from "./en/index.ts";

/** Text as `string`, text with values in it as a function. */
export type Words = typeof en;

export const LANGUAGES = { en: "English", de: "Deutsch" } as const;

export type Language = keyof typeof LANGUAGES;

/** Where a choice is remembered. */
const KEY = "maetok-lang";

let table: Words = en;
let language: Language = "en";

/** The words in the language of the page. Ask when they are needed, not when a file is loaded: then it is not known yet. */
export function words(): Words {
  return table;
}

export function lang(): Language {
  return language;
}

/** Uses a table from now on. */
export function use(chosen: Language, its: Words): void {
  language = chosen;
  table = its;
}

/** Chooses the language and has its words ready. */
export async function startWords(): Promise<void> {
  const wanted = [new URLSearchParams(location.search).get("lang"), remembered(), ...navigator.languages];
  if (wanted.map(asLanguage).find((one) => one !== null) !== "de") return;
  // Without its words the page is better in English than not there.
  const de = await import("./de/index.ts").catch(() => null);
  if (de) use("de", de);
}

/** Remembers a choice and begins the page anew in it, with all its settings. */
export function chooseLanguage(chosen: Language): void {
  const kept = remember(chosen);
  const address = new URL(location.href);
  if (kept && !address.searchParams.has("lang")) return location.reload();
  address.searchParams.set("lang", chosen);
  location.replace(address);
}

/** `de-AT` is German. */
function asLanguage(tag: string | null): Language | null {
  const primary = tag?.toLowerCase().split("-")[0] ?? "";
  return Object.hasOwn(LANGUAGES, primary) ? (primary as Language) : null;
}

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    // Storage is refused to this page.
    return null;
  }
}

function remember(chosen: Language): boolean {
  try {
    localStorage.setItem(KEY, chosen);
    return true;
  } catch {
    return false;
  }
}
