/**
 * Can this browser run the engine, and on what? Asked before anything large is downloaded, told in words.
 *
 * `gather` looks, `decide` judges; only the first touches the browser, so the second is tested without one.
 */

import type { Wanted } from "./protocol.ts";

/** What was found. Null: not offered or not asked. */
export interface Facts {
  secureContext: boolean;
  /** `navigator.gpu` exists. */
  webgpu: boolean;
  adapter: AdapterFacts | null;
  /** Why asking for an adapter failed, if it threw. */
  adapterError: string | null;
  /** WebAssembly with 128-bit SIMD, which the engine is compiled for. */
  simd: boolean;
}

export interface AdapterFacts {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  /** The browser says itself that this adapter is a fallback, that is, software. */
  fallback: boolean;
  features: string[];
  limits: Record<LimitName, number>;
}

export type LimitName = keyof typeof LIMITS;

/** What the engine's kernels use: WebGPU's default limits. */
const LIMITS = {
  maxBufferSize: 256 * 2 ** 20,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupsPerDimension: 65535,
} as const;

/** Burn 0.22.1 makes a query set with the first stream and panics on wasm where this feature is missing. */
const FEATURE = "timestamp-query";

/** Adapters that compute on the CPU, by the names they go by. */
const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|microsoft basic render|\bwarp\b/i;

export interface Check {
  name: string;
  ok: boolean;
  value: string;
}

export interface Diagnosis {
  /** Null: nothing here can run the engine. */
  engine: "webgpu" | "cpu" | null;
  /** Short name of what computes, for a badge. */
  badge: string;
  /** One sentence: why this engine. */
  reason: string;
  /** What a person can do, one sentence; empty if there is nothing to do. */
  advice: string;
  /** Something asked for or expected is not there: worth saying aloud. */
  alert: boolean;
  /** WebGPU could be chosen here. */
  webgpuUsable: boolean;
  checks: Check[];
}

export async function gather(scope: Pick<Navigator, "gpu"> = navigator): Promise<Facts> {
  const facts: Facts = {
    secureContext: globalThis.isSecureContext,
    webgpu: scope.gpu !== undefined,
    adapter: null,
    adapterError: null,
    simd: simd(),
  };
  if (!facts.webgpu) return facts;
  try {
    const adapter = await scope.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (adapter) facts.adapter = describe(adapter);
  } catch (error) {
    facts.adapterError = String(error);
  }
  return facts;
}

function describe(adapter: GPUAdapter): AdapterFacts {
  const { vendor, architecture, device, description } = adapter.info;
  const limits = {} as Record<LimitName, number>;
  for (const name of Object.keys(LIMITS) as LimitName[]) limits[name] = adapter.limits[name];
  // Older browsers tell this of the adapter, newer ones of its info.
  const fallback = adapter.info.isFallbackAdapter ?? (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter;
  return { vendor, architecture, device, description, fallback: fallback ?? false, features: [...adapter.features], limits };
}

/** A module whose only function adds two vectors; it validates where SIMD is known. */
function simd(): boolean {
  return WebAssembly.validate(
    new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11]),
  );
}

/** Empty where the browser keeps it to itself, as Firefox does. */
export function adapterName(adapter: AdapterFacts): string {
  return adapter.description || [adapter.vendor, adapter.architecture, adapter.device].filter(Boolean).join(" ");
}

export function isSoftware(adapter: AdapterFacts): boolean {
  return adapter.fallback || SOFTWARE.test(`${adapter.vendor} ${adapter.architecture} ${adapter.device} ${adapter.description}`);
}

/** Chooses the engine. The CPU path is 4 to 20 times faster than WebGPU on a software adapter, a real GPU is faster still. */
export function decide(facts: Facts, wanted: Wanted): Diagnosis {
  const checks = list(facts);
  const obstacle = whyNoWebgpu(facts);
  const base = { checks, webgpuUsable: obstacle === null, alert: false, advice: "" };
  if (!facts.simd) {
    return {
      ...base,
      engine: null,
      badge: "cannot run here",
      alert: true,
      reason: "This browser lacks WebAssembly SIMD, which the engine is built with.",
      advice: "Update the browser: Chrome 91, Firefox 89, Safari 16.4 and anything newer have it.",
    };
  }
  const cpu = { ...base, engine: "cpu", badge: "CPU" } as const;
  if (wanted === "cpu") return { ...cpu, reason: "Runs on the processor (WebAssembly SIMD), as you chose." };
  if (obstacle !== null || facts.adapter === null) {
    return {
      ...cpu,
      alert: true,
      reason: `Runs on the processor (WebAssembly SIMD): ${obstacle?.reason ?? "no graphics adapter was offered"}.`,
      advice: obstacle?.advice ?? "",
    };
  }
  const name = adapterName(facts.adapter);
  const named = name ? ` (${name})` : "";
  const webgpu = { ...base, engine: "webgpu", badge: "WebGPU" } as const;
  if (!isSoftware(facts.adapter)) return { ...webgpu, reason: `Runs on the graphics processor (WebGPU${name && `, ${name}`}).` };
  if (wanted === "webgpu") {
    return {
      ...webgpu,
      badge: "WebGPU, software",
      reason: `Runs on WebGPU, as you chose, though its adapter${named} is software.`,
      advice: "Choose the CPU engine for speed: it is 4 to 20 times faster than a software adapter.",
    };
  }
  return {
    ...cpu,
    reason: `Runs on the processor (WebAssembly SIMD): the WebGPU adapter here${named} is software and 4 to 20 times slower.`,
  };
}

/** The first thing in the way of WebGPU, as half a sentence, and what to do about it. */
function whyNoWebgpu(facts: Facts): { reason: string; advice: string } | null {
  if (!facts.secureContext) {
    return {
      reason: "WebGPU is offered only to pages on https or on this machine's own address",
      advice: "Open the page through https or http://127.0.0.1 to use the graphics processor.",
    };
  }
  if (!facts.webgpu) {
    return {
      reason: "this browser offers no WebGPU (navigator.gpu is missing)",
      advice: "Nothing needs doing; for more speed use a browser with WebGPU (Chrome, Edge, Safari 26, Firefox 141 or newer).",
    };
  }
  if (facts.adapterError !== null) {
    return { reason: `asking for a graphics adapter failed (${facts.adapterError})`, advice: "Updating the graphics driver may help." };
  }
  if (facts.adapter === null) {
    return {
      reason: "WebGPU is there but offers no graphics adapter",
      advice: "Switching on hardware acceleration in the browser's settings or updating the graphics driver may help.",
    };
  }
  const { features, limits } = facts.adapter;
  if (!features.includes(FEATURE)) {
    return { reason: `the graphics adapter lacks the feature ${FEATURE}`, advice: "Updating the browser or the graphics driver may help." };
  }
  for (const [name, need] of Object.entries(LIMITS) as [LimitName, number][]) {
    if (limits[name] < need) {
      return { reason: `the graphics adapter's ${name} is ${limits[name]} and the engine needs ${need}`, advice: "" };
    }
  }
  return null;
}

function list(facts: Facts): Check[] {
  const checks: Check[] = [
    { name: "Secure page (https or this machine)", ok: facts.secureContext, value: facts.secureContext ? "yes" : "no" },
    { name: "WebAssembly SIMD", ok: facts.simd, value: facts.simd ? "yes" : "no" },
    { name: "WebGPU (navigator.gpu)", ok: facts.webgpu, value: facts.webgpu ? "yes" : "no" },
  ];
  if (!facts.webgpu) return checks;
  const { adapter } = facts;
  if (adapter === null) {
    checks.push({ name: "Graphics adapter", ok: false, value: facts.adapterError ?? "none" });
    return checks;
  }
  const software = isSoftware(adapter);
  checks.push({ name: "Graphics adapter", ok: !software, value: `${adapterName(adapter) || "unnamed"}${software ? " (software)" : ""}` });
  const timestamps = adapter.features.includes(FEATURE);
  checks.push({ name: `Feature ${FEATURE}`, ok: timestamps, value: timestamps ? "yes" : "no" });
  for (const [name, need] of Object.entries(LIMITS) as [LimitName, number][]) {
    const got = adapter.limits[name];
    checks.push({ name, ok: got >= need, value: `${amount(name, got)} (needed: ${amount(name, need)})` });
  }
  return checks;
}

function amount(name: LimitName, value: number): string {
  if (name === "maxBufferSize" || name === "maxStorageBufferBindingSize") return `${Math.floor(value / 2 ** 20)} MiB`;
  if (name === "maxComputeWorkgroupStorageSize") return `${Math.floor(value / 1024)} KiB`;
  return String(value);
}
