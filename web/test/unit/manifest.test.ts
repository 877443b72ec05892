import { expect, it } from "vitest";
import { MaetokError } from "../../src/errors.ts";
import { parseManifest } from "../../src/manifest.ts";
import { folder, manifest } from "./fakes.ts";

function made(change: (json: Record<string, any>) => void): () => unknown {
  const files = folder();
  files.delete("manifest.json");
  const json = manifest(files);
  change(json);
  return () => parseManifest(JSON.stringify(json));
}

it("lists what the engine needs and nothing else", () => {
  const { needed, classes } = parseManifest(new TextDecoder().decode(folder().get("manifest.json")));
  expect(needed.map(({ path }) => path)).toEqual(["tokenizer/config.json", "tokenizer/model.safetensors", "sit/config.json", "sit/model.safetensors"]);
  expect(classes.map(({ name, thumbnail }) => [name, thumbnail])).toEqual([["lorelei", "thumbnails/lorelei.webp"], ["hearts", null]]);
});

it("takes a model that can only reconstruct", () => {
  const found = made((json) => (delete json.generator, delete json.classes))() as ReturnType<typeof parseManifest>;
  expect([found.needed.length, found.classes]).toEqual([2, []]);
});

it.each<[string, (json: Record<string, any>) => void, RegExp]>([
  ["another format", (json) => (json.format = 2), /format is 2/],
  ["a file that is not listed", (json) => json.files.pop(), /sit\/model\.safetensors/],
  ["a hash that is none", (json) => (json.files[0].sha256 = "abc"), /64 hexadecimal digits/],
  ["a size that is none", (json) => (json.files[0].size = -1), /size/],
  ["a path upwards", (json) => (json.files[0].path = "../secret"), /outside its folder \(\.\.\/secret\)/],
  ["a path upwards in the middle", (json) => (json.classes[0].thumbnail = "a/../../b"), /outside its folder/],
  ["an absolute path", (json) => (json.files[0].path = "/etc/passwd"), /outside its folder/],
  ["another host", (json) => (json.files[0].path = "https://example.org/x"), /outside its folder/],
  ["an escaped path upwards", (json) => (json.files[0].path = "%2e%2e/x"), /outside its folder/],
  ["no classes list", (json) => (json.classes = "x"), /classes is not a list/],
])("refuses %s in one sentence", (_, change, words) => {
  expect(made(change)).toThrow(words);
  expect(made(change)).toThrow(MaetokError);
});

it("refuses what is not JSON", () => {
  expect(() => parseManifest("<!doctype html>")).toThrow(/not JSON/);
});
