/**
 * What the self-test of the kernels found out, kept in the browser's cache: by adapter, and by the browser's own version,
 * whose compiler of shaders it depends on. The engine judges whether a text is whole and its own.
 *
 * Nothing here fails: where the browser keeps nothing, the kernels are tested with every start.
 */

export const CACHE = "maetok-self-test-1";

/** No address a server answers at. */
function key(adapter: string): string {
  return new URL(`/.maetok-cache/self-test/${encodeURIComponent(`${adapter}, ${navigator.userAgent}`)}`, location.href).href;
}

/** What was kept of `adapter`. */
export async function recall(adapter: string): Promise<string | undefined> {
  try {
    const cache = await caches.open(CACHE);
    return await (await cache.match(key(adapter)))?.text();
  } catch {
    return undefined;
  }
}

export async function keep(adapter: string, text: string): Promise<void> {
  try {
    const cache = await caches.open(CACHE);
    await cache.put(key(adapter), new Response(text));
  } catch {
    // Private window, no secure context, full disk.
  }
}
