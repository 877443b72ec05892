import { describe, expect, it } from "vitest";
import type { FileEntry } from "../../src/manifest.ts";
import { fetchFile, isCached } from "../../src/weights.ts";
import { BASE, fakeSource, type FakeSource, sha256 } from "./fakes.ts";

const PATH = "sit/model.safetensors";

function setUp(): { source: FakeSource; file: FileEntry; get: (signal?: AbortSignal) => Promise<Uint8Array>; heard: number[] } {
  const source = fakeSource();
  const bytes = source.files.get(PATH)!;
  const file = { path: PATH, size: bytes.length, sha256: sha256(bytes) };
  const heard: number[] = [];
  return { source, file, heard, get: (signal = new AbortController().signal) => fetchFile(file, BASE, source, signal, (count) => heard.push(count)) };
}

describe("a file of the model", () => {
  it("comes from the network once, then from the cache", async () => {
    const { source, file, get, heard } = setUp();
    expect(await isCached(file, BASE, source)).toBe(false);
    const first = await get();
    expect(await isCached(file, BASE, source)).toBe(true);
    expect(await get()).toEqual(first);
    expect(source.asked).toEqual([PATH]);
    expect(heard.reduce((a, b) => a + b)).toBe(2 * file.size);
  });

  it("with one flipped byte is refused by name and not kept", async () => {
    const { source, get } = setUp();
    source.files.get(PATH)![77]! ^= 1;
    await expect(get()).rejects.toMatchObject({ code: "checksum", message: expect.stringContaining(PATH) });
    expect(source.store.entries.size).toBe(0);
    source.files.get(PATH)![77]! ^= 1;
    await expect(get()).resolves.toHaveLength(5000);
  });

  it.each([["too short", 4999], ["too long", 5001]])("that is %s is refused and not kept", async (_, length) => {
    const { source, get } = setUp();
    source.files.set(PATH, new Uint8Array(length).fill(2));
    await expect(get()).rejects.toMatchObject({ code: "checksum", message: expect.stringContaining("length") });
    expect(source.store.entries.size).toBe(0);
  });

  it.each([
    ["damaged", (bytes: Uint8Array<ArrayBuffer>) => bytes.map((byte, i) => (i === 5 ? byte ^ 4 : byte))],
    ["cut short", (bytes: Uint8Array<ArrayBuffer>) => bytes.slice(0, 100)],
  ])("that lies %s in the cache is fetched anew and replaced", async (_, spoil) => {
    const { source, get } = setUp();
    const good = await get();
    const [[key, bytes]] = [...source.store.entries] as [[string, Uint8Array<ArrayBuffer>]];
    source.store.entries.set(key, spoil(bytes));
    expect(await get()).toEqual(good);
    expect(source.asked).toEqual([PATH, PATH]);
    expect(source.store.entries.get(key)).toEqual(good);
  });

  it("is fetched although the cache fails", async () => {
    const { source, get } = setUp();
    const fail = (): Promise<never> => Promise.reject(new Error("disk full"));
    source.store.match = source.store.put = source.store.delete = fail;
    await expect(get()).resolves.toHaveLength(5000);
  });

  it("that the server refuses is named with the status", async () => {
    const { source, get } = setUp();
    source.files.delete(PATH);
    await expect(get()).rejects.toMatchObject({ code: "download", message: expect.stringMatching(/sit\/model.*404/) });
  });

  it("that breaks off is named with how far it came", async () => {
    const { source, get } = setUp();
    source.fetch = async () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array(1234));
            setTimeout(() => controller.error(new TypeError("network error")));
          },
        }),
      );
    await expect(get()).rejects.toMatchObject({ code: "download", message: expect.stringContaining("1234 of 5000") });
  });

  it("can be stopped", async () => {
    const { get } = setUp();
    await expect(get(AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
  });
});
