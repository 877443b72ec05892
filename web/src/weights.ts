/**
 * Files of a model: from the browser's cache or the network, checked against the manifest's SHA-256 before anyone sees
 * them.
 *
 * The cache's key is the hash, so a new version of a model never meets an old file. Only checked bytes go in, and they
 * are checked again when they come out: an interrupted write or a damaged disk costs a download, never a wrong picture.
 */

import { MaetokError } from "./errors.ts";
import type { FileEntry } from "./manifest.ts";

/** The part of the browser's `Cache` that is used. */
export type Store = Pick<Cache, "match" | "put" | "delete">;

export interface Source {
  fetch: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
  /** Null where the browser offers none: not a secure context, private window, storage refused. */
  store: Store | null;
  /** SHA-256 in hexadecimal; null outside secure contexts, where only the engine checks. */
  sha256: ((bytes: Uint8Array<ArrayBuffer>) => Promise<string>) | null;
}

export const CACHE = "maetok-weights-1";

/** What this browser offers. */
export async function browserSource(): Promise<Source> {
  const store = await (globalThis.caches?.open(CACHE) ?? Promise.reject()).catch(() => null);
  const subtle = globalThis.crypto?.subtle;
  return {
    fetch: (url, init) => fetch(url, init),
    store,
    sha256: subtle ? async (bytes) => hex(await subtle.digest("SHA-256", bytes)) : null,
  };
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Where the cache keeps a file: no address a server answers at, only a name with its hash. */
function key(file: FileEntry, base: string): string {
  return new URL(`/.maetok-cache/${file.sha256}`, base).href;
}

/** True if the cache says it has the file. Whether it is whole shows when it is read. */
export async function isCached(file: FileEntry, base: string, source: Source): Promise<boolean> {
  return (await source.store?.match(key(file, base)).catch(() => undefined)) !== undefined;
}

/**
 * The bytes of `file`, relative to `base`. `onBytes` hears how many bytes have arrived since it was last called; it may
 * hear a negative number when a file begins anew.
 *
 * Throws `MaetokError` with code `download`, `checksum` or `cancelled`.
 */
export async function fetchFile(
  file: FileEntry,
  base: string,
  source: Source,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const kept = await fromCache(file, base, source);
  signal.throwIfAborted();
  if (kept) {
    onBytes(kept.length);
    return kept;
  }
  const bytes = await download(file, base, source, signal, onBytes);
  const got = await source.sha256?.(bytes);
  if (got !== undefined && got !== file.sha256) {
    throw new MaetokError(
      "checksum",
      `The file ${file.path} arrived damaged: its SHA-256 begins with ${got.slice(0, 12)} where the manifest says ${file.sha256.slice(0, 12)}.`,
      "Nothing of it was kept; try again.",
    );
  }
  // A full disk is no reason to withhold the picture.
  if (got !== undefined) await source.store?.put(key(file, base), new Response(bytes)).catch(() => {});
  return bytes;
}

async function fromCache(file: FileEntry, base: string, source: Source): Promise<Uint8Array<ArrayBuffer> | null> {
  const { store, sha256 } = source;
  if (!store || !sha256) return null;
  const name = key(file, base);
  try {
    const response = await store.match(name);
    if (!response) return null;
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length === file.size && (await sha256(bytes)) === file.sha256) return bytes;
  } catch {
    // Unreadable is as good as damaged.
  }
  await store.delete(name).catch(() => {});
  return null;
}

async function download(
  file: FileEntry,
  base: string,
  source: Source,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(file.path, base).href;
  const response = await get(url, file.path, source, signal);
  const bytes = new Uint8Array(file.size);
  let filled = 0;
  try {
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > file.size) {
        await reader.cancel();
        throw wrongSize(file, `more than the manifest's ${file.size}`);
      }
      bytes.set(value, filled);
      filled += value.length;
      onBytes(value.length);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MaetokError) throw error;
    throw new MaetokError(
      "download",
      `The download of ${file.path} broke off after ${filled} of ${file.size} bytes.`,
      "Check the connection and try again.",
    );
  }
  if (filled !== file.size) throw wrongSize(file, `${filled} where the manifest says ${file.size}`);
  return bytes;
}

/** A GET that says in words why it failed. */
export async function get(url: string, name: string, source: Pick<Source, "fetch">, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await source.fetch(url, { signal });
  } catch {
    signal.throwIfAborted();
    throw new MaetokError("download", `The download of ${name} failed: the server cannot be reached.`, "Check the connection and try again.");
  }
  if (!response.ok) {
    throw new MaetokError("download", `The server refused ${name} (HTTP ${response.status}).`, "Try again later.");
  }
  return response;
}

function wrongSize(file: FileEntry, found: string): MaetokError {
  return new MaetokError("checksum", `The file ${file.path} has the wrong length in bytes: ${found}.`, "Nothing of it was kept; try again.");
}
