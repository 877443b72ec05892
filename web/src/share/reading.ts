/** A file somebody gives the page: is it a picture that this page has saved, with its settings inside? */

import type { Client } from "../client.ts";
import { read, type Recipe } from "./recipe.ts";

/** What the page writes stands before the pixels, so at the very beginning. */
const BEGINNING = 4096;

/** Larger files are none of this page's. */
const LARGEST = 64 * 2 ** 20;

/** `spoilt`: there is something that calls itself settings, and cannot be read. */
export type Reading = { kind: "recipe"; recipe: Recipe } | { kind: "picture"; spoilt: boolean };

/** Never rejects: what cannot be read here is for those who read pictures. */
export async function readSettings(client: Client, file: File): Promise<Reading> {
  try {
    // The engine reads PNG. Whoever brings a picture without our mark does not wait for it.
    const beginning = new Uint8Array(await file.slice(0, BEGINNING).arrayBuffer());
    if (file.size > LARGEST || !hasMark(beginning)) return { kind: "picture", spoilt: false };
    const text = await client.pngText(await file.arrayBuffer());
    if (text === null) return { kind: "picture", spoilt: true };
    const recipe = read(text);
    return recipe ? { kind: "recipe", recipe } : { kind: "picture", spoilt: true };
  } catch (error) {
    console.warn(error);
    return { kind: "picture", spoilt: true };
  }
}

/** A PNG file with a text chunk of ours among its first bytes. */
function hasMark(bytes: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(bytes);
  return text.slice(1, 4) === "PNG" && text.includes("iTXtmaetok\0");
}
