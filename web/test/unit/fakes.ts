/** Stand-ins for unit tests only: an engine that computes nothing, a server and a cache in memory. */

import { createHash } from "node:crypto";
import type { Facts } from "../../src/diagnosis.ts";
import type { Bindings, DeviceFacts, Engine, Run } from "../../src/engine.ts";
import type { Reply } from "../../src/protocol.ts";
import type { Surroundings } from "../../src/session.ts";
import type { Source, Store } from "../../src/weights.ts";

export const BASE = "http://host/models/test/manifest.json";
export const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

/** The files of a tiny model folder. */
export function folder(): Map<string, Uint8Array<ArrayBuffer>> {
  const text = (value: string) => new TextEncoder().encode(value);
  const files = new Map([
    ["tokenizer/config.json", text("{}")],
    ["tokenizer/model.safetensors", new Uint8Array(3000).fill(1)],
    ["sit/config.json", text("{ }")],
    ["sit/model.safetensors", new Uint8Array(5000).fill(2)],
  ]);
  return new Map([...files, ["manifest.json", text(JSON.stringify(manifest(files)))]]);
}

export function manifest(files: Map<string, Uint8Array>): Record<string, unknown> {
  return {
    format: 1,
    title: "Test",
    license: "MIT",
    image_size: 8,
    files: [...files].map(([path, bytes]) => ({ path, size: bytes.length, sha256: sha256(bytes) })),
    tokenizer: { config: "tokenizer/config.json", weights: ["tokenizer/model.safetensors"] },
    generator: { config: "sit/config.json", weights: ["sit/model.safetensors"] },
    classes: [{ name: "lorelei", label: "Lorelei", group: "Avatars", thumbnail: "thumbnails/lorelei.webp" }, { name: "hearts", label: "Hearts", group: "Emoji" }],
  };
}

export class MemoryStore implements Store {
  readonly entries = new Map<string, Uint8Array<ArrayBuffer>>();

  async match(name: RequestInfo | URL): Promise<Response | undefined> {
    const bytes = this.entries.get(String(name));
    return bytes && new Response(bytes);
  }
  async put(name: RequestInfo | URL, response: Response): Promise<void> {
    this.entries.set(String(name), new Uint8Array(await response.arrayBuffer()));
  }
  async delete(name: RequestInfo | URL): Promise<boolean> {
    return this.entries.delete(String(name));
  }
}

export interface FakeSource extends Source {
  files: Map<string, Uint8Array<ArrayBuffer>>;
  store: MemoryStore;
  asked: string[];
}

export function fakeSource(): FakeSource {
  const files = folder();
  const asked: string[] = [];
  return {
    files,
    asked,
    store: new MemoryStore(),
    sha256: async (bytes) => sha256(bytes),
    fetch: async (url, { signal }) => {
      signal.throwIfAborted();
      const path = url.replace("http://host/models/test/", "");
      asked.push(path);
      const bytes = files.get(path);
      return bytes ? new Response(bytes) : new Response("no", { status: 404 });
    },
  };
}

/** What a fake engine was asked to do, and what it does in the midst of it. */
export class FakeEngine implements Engine {
  readonly imageSize = 8;
  readonly latentTokens = 2;
  readonly latentChannels = 4;
  readonly patches = 4;
  readonly canHide = true;
  readonly calls: string[] = [];
  /** Called with the number of each step before it is done. */
  onStep: (index: number) => void | Promise<void> = () => {};
  /** Called in the midst of a reconstruction. */
  onReconstruct: () => void | Promise<void> = () => {};
  /** What it says of its device. */
  facts: DeviceFacts = { kind: "cpu", disabled_kernels: [], self_test: null };
  /** Called in the midst of compiling ahead. */
  onWarmUp: () => void | Promise<void> = () => {};
  #left = 0;
  #of = 0;

  device(): string {
    return JSON.stringify(this.facts);
  }
  async warmUp(_manifest: string, configs: Uint8Array[]): Promise<void> {
    this.calls.push(`warm up ${configs.map((config) => new TextDecoder().decode(config)).join(" ")}`);
    await this.onWarmUp();
  }
  load(): void {
    this.calls.push("load");
  }
  /** Called before pictures are decoded. */
  onDecode: () => void | Promise<void> = () => {};
  start(requests: string, latents: Float32Array | undefined): Run {
    this.calls.push(`start ${requests}${latents ? ` with ${latents.length}` : ""}`);
    this.#of = this.#left = (JSON.parse(requests) as { steps: number }[])[0]!.steps;
    return this.#run();
  }
  resume(requests: string, taken: number, snapshot: Float64Array): Run {
    this.calls.push(`resume after ${taken} with ${snapshot.length}`);
    this.#of = (JSON.parse(requests) as { steps: number }[])[0]!.steps;
    this.#left = this.#of - taken;
    return this.#run();
  }
  #run(): Run {
    return { snapshot: () => new Float64Array(8).fill(this.#left), free: () => this.calls.push("free") };
  }
  async step() {
    if (this.#left === 0) return undefined;
    const index = this.#of - this.#left + 1;
    await this.onStep(index);
    this.#left--;
    return { index, of: this.#of, t: 1 - (index - 1) / this.#of, clean: new Float32Array(8).fill(100), state: new Float32Array(8).fill(50), free() {} };
  }
  /** A picture is as grey as its first number. */
  async decode(latents: Float32Array): Promise<Uint8ClampedArray> {
    await this.onDecode();
    if (latents.length === 0 || latents.length % 8 !== 0) throw Object.assign(new Error("The setting latents is wrong."), { code: "setting" });
    const rgba = new Uint8ClampedArray((latents.length / 8) * 256);
    for (let i = 0; i < latents.length / 8; i++) rgba.fill(latents[8 * i]!, 256 * i, 256 * (i + 1));
    return rgba;
  }
  async encode(_rgba: Uint8Array, _width: number, hidden: Uint8Array | undefined): Promise<Float32Array> {
    this.calls.push(hidden ? `encode hiding ${hidden.join("")}` : "encode");
    await this.onReconstruct();
    return new Float32Array(8).fill(7);
  }
  async bench(request: string, clock: () => number): Promise<string> {
    return JSON.stringify([{ request: JSON.parse(request) as unknown, began: clock() }]);
  }
}

export const SOFTWARE_FACTS: Facts = {
  secureContext: true,
  webgpu: true,
  adapterError: null,
  simd: true,
  adapter: {
    vendor: "google",
    architecture: "swiftshader",
    device: "",
    description: "",
    fallback: true,
    features: ["timestamp-query"],
    limits: {
      maxBufferSize: 2 ** 30,
      maxStorageBufferBindingSize: 2 ** 30,
      maxStorageBuffersPerShaderStage: 10,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupsPerDimension: 65535,
    },
  },
};

export interface World extends Surroundings {
  replies: Reply[];
  engine: FakeEngine;
  model: FakeSource;
  created: string[];
  /** What engines were told about their kernels. */
  told: { remembered: string | undefined; refused: string[] }[];
  /** What is kept of adapters. */
  kept: Map<string, string>;
  panic: string | undefined;
  webgpuFails: boolean;
}

/** A promise that is kept by hand. */
export function gate(): { open: () => void; opened: Promise<void> } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
}

/** A session's surroundings with everything observable. */
export function world(): World {
  const replies: Reply[] = [];
  const engine = new FakeEngine();
  const model = fakeSource();
  const created: string[] = [];
  let clock = 0;
  const result: World = {
    replies,
    engine,
    model,
    created,
    told: [],
    kept: new Map(),
    recall: async (adapter) => result.kept.get(adapter),
    keep: async (adapter, text) => void result.kept.set(adapter, text),
    panic: undefined,
    webgpuFails: false,
    post: (reply) => void replies.push(reply),
    gather: async () => SOFTWARE_FACTS,
    source: async () => model,
    loadBindings: async (): Promise<Bindings> => ({
      createEngine: async (kind, remembered, refused) => {
        created.push(kind);
        result.told.push({ remembered, refused });
        const faults = refused.filter((fault) => !fault.startsWith("matmul"));
        const text = `verdict: ${faults.join(", ")}`;
        engine.facts = { kind: "cpu", disabled_kernels: [], self_test: null };
        if (kind === "webgpu") engine.facts = { kind: "wgpu", disabled_kernels: faults, self_test: { remembered: remembered?.startsWith("verdict") ?? false, text } };
        if (kind === "webgpu" && result.webgpuFails) throw Object.assign(new Error("no device"), { code: "device" });
        return engine;
      },
      openPicture: (file, size, crop) => {
        if (file.length < 4) throw Object.assign(new Error("This is not a picture."), { code: "picture" });
        const square = new Uint8ClampedArray(size * size * 4).fill(crop?.[2] ?? 9);
        return { square, size, overview: new Uint8ClampedArray(4), overviewWidth: 1, overviewHeight: 1, width: 20, height: 10, notices: [], free() {} };
      },
      scores: () => Float64Array.of(20, 0.5),
      mixLatents: (a, b, share) => a.map((value, i) => (1 - share) * value + share * b[i]!),
      fitComponents: (_rows, _width, count) => ({ count, shares: () => new Float64Array(count).fill(0.5), project: (rows) => rows.slice(0, count), free() {} }),
      encodePng: (rgba, width, text) => new Uint8Array([rgba.length / width / 4, width, text?.length ?? 0]),
      pngText: (file) => (file.length > 4 ? "{}" : undefined),
      toNpy: (values, shape) => new Uint8Array([values.length, ...shape]),
      toSafetensors: (names, _values, _shapes, metadata) => new Uint8Array([names.length, metadata.length]),
      lastPanic: () => result.panic,
      memory: () => 65536,
    }),
    engineBytes: 1000,
    breathe: () => new Promise((resolve) => setImmediate(resolve)),
    now: () => (clock += 1000),
  };
  return result;
}
