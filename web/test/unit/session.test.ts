import { beforeEach, describe, expect, it } from "vitest";
import type { Reply, Request, SampleRequest } from "../../src/protocol.ts";
import { Session } from "../../src/session.ts";
import { BASE, world, type World } from "./fakes.ts";

const REQUEST: SampleRequest = { class: "lorelei", seed: "18446744073709551615", steps: 4, guidance: 2, sampler: "euler" };

let outside: World;
let session: Session;
const generate = (id: number, request: Partial<SampleRequest> = {}): Request => ({ kind: "generate", id, manifest: BASE, request: { ...REQUEST, ...request } });
const kinds = (id: number) => outside.replies.filter((reply) => reply.id === id && reply.kind !== "progress").map((reply) => reply.kind);
const last = (id: number) => outside.replies.filter((reply) => reply.id === id).at(-1) as Reply;

beforeEach(async () => {
  outside = world();
  session = new Session(outside);
  await session.handle({ kind: "diagnose", id: 1, wanted: "auto" });
});

describe("a run", () => {
  it("shows every step's guess, then the picture", async () => {
    await session.handle(generate(2));
    expect(kinds(2)).toEqual(["step", "step", "step", "step", "generated"]);
    const steps = outside.replies.flatMap((reply) => (reply.kind === "step" ? [reply.step] : []));
    expect(steps.map(({ index, of, t }) => [index, of, t])).toEqual([[1, 4, 1], [2, 4, 0.75], [3, 4, 0.5], [4, 4, 0.25]]);
    expect(steps.every(({ preview }) => preview?.rgba[0] === 100)).toBe(true);
    expect(last(2)).toMatchObject({ picture: { width: 8, height: 8 } });
  });

  it("hands the seed over as digits", async () => {
    await session.handle(generate(2));
    expect(outside.engine.calls.find((call) => call.startsWith("start"))).toContain('"seed":"18446744073709551615"');
  });

  it("of very many steps keeps the number of guesses bounded, and shows the last", async () => {
    await session.handle(generate(2, { steps: 1000 }));
    const shown = outside.replies.flatMap((reply) => (reply.kind === "step" && reply.step.preview ? [reply.step.index] : []));
    expect(shown.length).toBeLessThanOrEqual(251);
    expect(shown.at(-1)).toBe(1000);
  });

  it("stops between two steps and is freed", async () => {
    outside.engine.onStep = (index) => {
      if (index === 2) void session.handle({ kind: "cancel", id: 2 });
    };
    await session.handle(generate(2));
    expect(kinds(2)).toEqual(["step", "step", "generated"]);
    expect(last(2)).toMatchObject({ picture: null });
    expect(outside.engine.calls.at(-1)).toBe("free");
  });

  it("waits for the one before it", async () => {
    await Promise.all([session.handle(generate(2)), session.handle({ kind: "reconstruct", id: 3, manifest: BASE, file: new ArrayBuffer(8) })]);
    const order = outside.replies.map(({ id, kind }) => `${id} ${kind}`);
    expect(order.indexOf("2 generated")).toBeLessThan(order.indexOf("3 reconstructed"));
    expect(outside.replies).toContainEqual({ kind: "progress", id: 3, progress: { phase: "waiting" } });
  });

  it("that waits can be stopped", async () => {
    const first = session.handle(generate(2));
    const second = session.handle(generate(3));
    await session.handle({ kind: "cancel", id: 3 });
    await Promise.all([first, second]);
    expect(last(3)).toMatchObject({ kind: "error", error: { code: "cancelled" } });
    expect(last(2).kind).toBe("generated");
  });
});

describe("the model", () => {
  it("is described with what is still to be downloaded", async () => {
    await session.handle({ kind: "describe", id: 2, manifest: BASE });
    const { model } = last(2) as Extract<Reply, { kind: "model" }>;
    expect(model.toDownload).toBe(3000 + 5000 + 2 + 3 + 1000);
    expect(model.classes[0]!.thumbnail).toBe("http://host/models/test/thumbnails/lorelei.webp");
    await session.handle(generate(3));
    await session.handle({ kind: "describe", id: 4, manifest: BASE });
    expect(last(4)).toMatchObject({ model: { toDownload: 0 } });
  });

  it("is loaded once for all runs, on the engine the diagnosis chose", async () => {
    await session.handle(generate(2));
    await session.handle(generate(3));
    expect(outside.engine.calls.filter((call) => call === "load")).toHaveLength(1);
    expect(outside.created).toEqual(["cpu"]);
  });

  it("that arrives damaged is an error in words, and the next try works", async () => {
    const weights = outside.model.files.get("sit/model.safetensors")!;
    weights[9]! ^= 1;
    await session.handle(generate(2));
    expect(last(2)).toMatchObject({ kind: "error", error: { code: "checksum", fatal: false } });
    weights[9]! ^= 1;
    await session.handle(generate(3));
    expect(last(3).kind).toBe("generated");
  });

  it("whose load fails does not make a second engine", async () => {
    const { load } = outside.engine;
    outside.engine.load = () => {
      throw Object.assign(new Error("the weights do not fit"), { code: "weights" });
    };
    await session.handle(generate(2));
    expect(last(2)).toMatchObject({ error: { code: "weights", message: "The weights do not fit." } });
    outside.engine.load = load;
    await session.handle(generate(3));
    expect(outside.created).toEqual(["cpu"]);
  });
});

describe("a WebGPU that does not open", () => {
  it("gives way to the CPU, and the page is told", async () => {
    await session.handle({ kind: "diagnose", id: 9, wanted: "webgpu" });
    outside.webgpuFails = true;
    await session.handle(generate(2));
    expect(last(2).kind).toBe("generated");
    expect(outside.created).toEqual(["webgpu", "cpu"]);
    expect(last(0)).toMatchObject({ kind: "diagnosis", diagnosis: { engine: "cpu", alert: true, reason: expect.stringContaining("(No device)") } });
  });
});

describe("a failure", () => {
  it("of the engine's own kind passes with its code", async () => {
    await session.handle({ kind: "reconstruct", id: 2, manifest: BASE, file: new ArrayBuffer(1) });
    expect(last(2)).toMatchObject({ kind: "error", error: { code: "picture", message: "This is not a picture.", fatal: false } });
  });

  it("in the engine's middle is told with the panic's words and asks for a new worker", async () => {
    outside.engine.onStep = () => {
      outside.panic = "panicked at model.rs:1:\nindex out of bounds";
      throw new WebAssembly.RuntimeError("unreachable");
    };
    await session.handle(generate(2));
    expect(last(2)).toMatchObject({ error: { code: "crash", fatal: true, message: expect.stringContaining("index out of bounds") } });
  });

  it("outside any call fails all that is under way", async () => {
    let go = () => {};
    outside.breathe = () => new Promise((resolve) => (go = resolve));
    void session.handle(generate(2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    session.crash(new WebAssembly.RuntimeError("unreachable"));
    expect(last(2)).toMatchObject({ kind: "error", error: { fatal: true } });
    go();
  });

  it("with nothing under way still reaches the page", () => {
    session.crash(new Error("the device was lost"));
    expect(last(0)).toMatchObject({ kind: "error", error: { fatal: true } });
  });
});
