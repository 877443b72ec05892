/** Everything the panel shows of the machine, gathered. Asks the browser and the worker; starts and downloads nothing. */

import { buildName, VERSION, WASM_SHA256 } from "../../offline/build.ts";
import { type Manifest, parseManifest } from "../../manifest.ts";
import type { DeviceReport } from "../../protocol.ts";
import type { Lab } from "../panel.ts";

/** What the browser tells of its adapter. */
export interface Adapter {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  features: string[];
  limits: Record<string, number>;
}

export interface Findings extends DeviceReport {
  adapter: Adapter | null;
  page: { version: string; build: string | null; wasmSha256: string };
  model: { title: string; manifestSha256: string | null; manifest: Manifest } | null;
  /** Bytes of JavaScript on this page; null where the browser does not tell. */
  heap: number | null;
  /** Bytes of the weights on the device: there they are as they lie in the files. */
  weights: number | null;
}

export async function gatherFindings(lab: Lab): Promise<Findings> {
  const [report, adapter, model] = await Promise.all([lab.client.device(), askAdapter(), readModel(lab)]);
  const { memory } = performance as { memory?: { usedJSHeapSize: number } };
  const weights = model?.manifest.needed.filter(({ path }) => path.endsWith(".safetensors")).reduce((sum, { size }) => sum + size, 0);
  return {
    ...report,
    adapter,
    page: { version: VERSION, build: buildName(), wasmSha256: WASM_SHA256 },
    model,
    heap: memory?.usedJSHeapSize ?? null,
    weights: weights ?? null,
  };
}

async function askAdapter(): Promise<Adapter | null> {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return null;
    const { vendor, architecture, device, description } = adapter.info;
    const limits: Record<string, number> = {};
    // They lie on the prototype, where `Object.keys` does not look.
    for (const name in adapter.limits) {
      const value = adapter.limits[name as keyof GPUSupportedLimits];
      if (typeof value === "number") limits[name] = value;
    }
    return { vendor, architecture, device, description, features: [...adapter.features].sort(), limits };
  } catch {
    // What is wrong with it stands in the diagnosis.
    return null;
  }
}

async function readModel(lab: Lab): Promise<Findings["model"]> {
  try {
    const text = await (await fetch(lab.manifest)).text();
    const manifest = parseManifest(text);
    const digest = await crypto.subtle?.digest("SHA-256", new TextEncoder().encode(text));
    return { title: manifest.title, manifestSha256: digest ? hex(digest) : null, manifest };
  } catch {
    return null;
  }
}

function hex(buffer: ArrayBuffer): string {
  return Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
