import { describe, expect, it } from "vitest";
import { type AdapterFacts, decide, type Facts, isSoftware } from "../../src/diagnosis.ts";
import { SOFTWARE_FACTS } from "./fakes.ts";

const software = SOFTWARE_FACTS.adapter!;
const gpu: AdapterFacts = { ...software, vendor: "nvidia", architecture: "ampere", fallback: false };
const facts = (change: Partial<Facts>): Facts => ({ ...SOFTWARE_FACTS, adapter: gpu, ...change });

describe("the engine that is chosen", () => {
  it("is WebGPU on a real adapter, named in the reason", () => {
    const { engine, reason, alert } = decide(facts({}), "auto");
    expect({ engine, alert }).toEqual({ engine: "webgpu", alert: false });
    expect(reason).toContain("nvidia ampere");
  });

  it("is the CPU on a software adapter, unless WebGPU is asked for", () => {
    expect(decide(SOFTWARE_FACTS, "auto").engine).toBe("cpu");
    const asked = decide(SOFTWARE_FACTS, "webgpu");
    expect(asked.engine).toBe("webgpu");
    expect(asked.badge).toContain("software");
    expect(asked.advice).toContain("CPU");
  });

  it("is the CPU when a person wants it", () => {
    expect(decide(facts({}), "cpu")).toMatchObject({ engine: "cpu", alert: false });
  });

  it("is none without WebAssembly SIMD, and says so aloud", () => {
    expect(decide(facts({ simd: false }), "auto")).toMatchObject({ engine: null, alert: true });
  });

  // Each obstacle must be told by name: "not supported" is what people complain about most.
  it.each<[string, Partial<Facts>, RegExp]>([
    ["no secure context", { secureContext: false, webgpu: false, adapter: null }, /https/],
    ["no navigator.gpu", { webgpu: false, adapter: null }, /navigator\.gpu/],
    ["no adapter", { adapter: null }, /no graphics adapter/],
    ["an error in place of an adapter", { adapter: null, adapterError: "OperationError: lost" }, /OperationError: lost/],
    ["no timestamp queries", { adapter: { ...gpu, features: [] } }, /timestamp-query/],
    ["a limit that is too low", { adapter: { ...gpu, limits: { ...gpu.limits, maxStorageBufferBindingSize: 1000 } } }, /maxStorageBufferBindingSize is 1000 .* 134217728/],
  ])("is the CPU with %s, in one sentence with the value", (_, change, words) => {
    for (const wanted of ["auto", "webgpu"] as const) {
      const found = decide(facts(change), wanted);
      expect(found).toMatchObject({ engine: "cpu", alert: true, webgpuUsable: false });
      expect(found.reason).toMatch(words);
      expect(found.reason).toMatch(/^[A-Z].*[^.]\.$/);
    }
  });
});

it("knows software adapters by name where the browser does not say it", () => {
  for (const name of ["SwiftShader", "llvmpipe (LLVM 15)", "Microsoft Basic Render Driver"]) {
    expect(isSoftware({ ...gpu, description: name })).toBe(true);
  }
  expect(isSoftware({ ...gpu, description: "NVIDIA GeForce RTX 3060" })).toBe(false);
});
