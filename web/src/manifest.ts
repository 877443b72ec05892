/** Reading `manifest.json`, the table of contents of a model folder. The engine reads it again, more strictly. */

import { MaetokError } from "./errors.ts";

export interface FileEntry {
  path: string;
  size: number;
  /** 64 hexadecimal digits. */
  sha256: string;
}

/** Files that are fetched when somebody asks for the map, and not before. */
export interface MapFiles {
  /** Names the others. */
  index: FileEntry;
  /** Everything in the folder of `index`, itself too: what a map can cost at most. */
  files: FileEntry[];
}

export interface Manifest {
  title: string;
  license: string;
  imageSize: number;
  latentMean: number;
  latentStd: number;
  path: "linear" | "cosine";
  generates: boolean;
  classes: { name: string; label: string; group: string; thumbnail: string | null }[];
  /** The files the engine needs: configurations and weights, not thumbnails or the model card. */
  needed: FileEntry[];
  /** Those of them that are configurations, the tokenizer's first. */
  configs: FileEntry[];
  /** What the map of its training pictures is made of; null if it brings none. */
  map: MapFiles | null;
  /** As it was read: the engine wants the original. */
  text: string;
}

function wrong(what: string): MaetokError {
  return new MaetokError("manifest", `The model's manifest.json cannot be used: ${what}.`, "The model folder on the server needs repair.");
}

export function parseManifest(text: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw wrong("it is not JSON");
  }
  const root = record(json, "it");
  if (root.format !== 1) throw wrong(`its format is ${JSON.stringify(root.format)} and this page reads format 1`);

  const files = new Map(array(root.files, "files").map(fileEntry).map((file) => [file.path, file]));
  const named = (path: unknown, what: string): FileEntry => {
    const file = files.get(string(path, what));
    if (!file) throw wrong(`it uses ${String(path)} and does not list it among its files`);
    return file;
  };
  const models = [root.tokenizer, root.generator].flatMap((model) => {
    if (model === null || model === undefined) return [];
    const { config, weights } = record(model, "tokenizer or generator");
    return [{ config: named(config, "config"), weights: array(weights, "weights").map((path) => named(path, "weights")) }];
  });
  const map = root.map === null || root.map === undefined ? null : named(root.map, "map");
  const beside = (path: string) => path.slice(0, path.lastIndexOf("/") + 1);
  return {
    title: string(root.title, "title"),
    license: string(root.license, "license"),
    imageSize: number(root.image_size, "image_size"),
    latentMean: decimal(root.latent_mean ?? 0, "latent_mean"),
    latentStd: decimal(root.latent_std ?? 1, "latent_std"),
    path: root.path_type === "cosine" ? "cosine" : "linear",
    generates: root.generator !== null && root.generator !== undefined,
    classes: array(root.classes ?? [], "classes").map((value) => {
      const entry = record(value, "a class");
      const thumbnail = entry.thumbnail ?? null;
      const group = entry.group ?? "";
      return {
        name: string(entry.name, "a class's name"),
        label: string(entry.label ?? entry.name, "a class's label"),
        group: string(group, "a class's group"),
        thumbnail: thumbnail === null ? null : inside(string(thumbnail, "a class's thumbnail")),
      };
    }),
    needed: models.flatMap(({ config, weights }) => [config, ...weights]),
    configs: models.map(({ config }) => config),
    map: map && { index: map, files: [...files.values()].filter(({ path }) => beside(path) === beside(map.path)) },
    text,
  };
}

function fileEntry(value: unknown): FileEntry {
  const entry = record(value, "a file");
  const path = inside(string(entry.path, "a file's path"));
  const sha256 = string(entry.sha256, `${path}'s sha256`).toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw wrong(`${path}'s sha256 is not 64 hexadecimal digits`);
  return { path, size: number(entry.size, `${path}'s size`), sha256 };
}

/** A path that stays in the model's folder whatever a server makes of it. */
function inside(path: string): string {
  const parts = path.split("/");
  if (/[\\:?#%]/.test(path) || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw wrong(`it points outside its folder (${path})`);
  }
  return path;
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${name} is not an object`);
  return value as Record<string, unknown>;
}

function array(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(`${name} is not a list`);
  return value;
}

function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw wrong(`${name} is not text`);
  return value;
}

function number(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw wrong(`${name} is not a whole number`);
  return value;
}

function decimal(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(`${name} is not a number`);
  return value;
}
