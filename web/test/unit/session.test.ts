import { beforeEach, describe, expect, it } from "vitest";
import { MaetokError } from "../../src/errors.ts";
import type { Reply, Request, SampleRequest, Wanted } from "../../src/protocol.ts";
import { Session } from "../../src/session.ts";
import { BASE, gate, world, type World } from "./fakes.ts";

const REQUEST: SampleRequest = { class: "lorelei", seed: "18446744073709551615", steps: 4, guidance: 2, sampler: "euler" };

const PICTURE = { rgba: new Uint8ClampedArray(8 * 8 * 4), width: 8, height: 8 };

let outside: World;
let session: Session;
const generate = (id: number, request: Partial<SampleRequest> = {}): Request => ({ kind: "generate", id, manifest: BASE, requests: [{ ...REQUEST, ...request }], latents: null, shown: "clean", resume: null });
const diagnose = (id: number, wanted: Wanted = "auto", kernels: { refused?: string[]; retest?: boolean } = {}): Request => ({ kind: "diagnose", id, wanted, refused: [], retest: false, ...kernels });
const reconstruct = (id: number): Request => ({ kind: "reconstruct", id, manifest: BASE, file: new ArrayBuffer(8), crop: null });
/** Lets everything happen that waits for nothing. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));
const kinds = (id: number) => outside.replies.filter((reply) => reply.id === id && reply.kind !== "progress").map((reply) => reply.kind);
const last = (id: number) => outside.replies.filter((reply) => reply.id === id).at(-1) as Reply;

beforeEach(async () => {
  outside = world();
  session = new Session(outside);
  await session.handle(diagnose(1));
});

describe("a run", () => {
  it("shows every step's guess, then the picture", async () => {
    await session.handle(generate(2));
    expect(kinds(2)).toEqual(["step", "step", "step", "step", "generated"]);
    const steps = outside.replies.flatMap((reply) => (reply.kind === "step" ? [reply.step] : []));
    expect(steps.map(({ index, of, t }) => [index, of, t])).toEqual([[1, 4, 1], [2, 4, 0.75], [3, 4, 0.5], [4, 4, 0.25]]);
    expect(steps.map(({ clean, state, snapshot }) => [clean[0], state[0], snapshot.length])).toEqual(Array(4).fill([100, 50, 8]));
    expect(steps.at(-1)?.cleanPictures).toMatchObject([{ width: 8, height: 8 }]);
    expect(steps.at(-1)?.cleanPictures?.[0]?.rgba[0]).toBe(100);
    expect(last(2)).toMatchObject({ pictures: [{ width: 8, height: 8 }], timing: { shown: expect.any(Number) } });
  });

  it.each([["clean", 1, 0], ["state", 0, 1], ["both", 1, 1], ["nothing", 0, 0]] as const)("that shows %s decodes just that", async (shown, clean, state) => {
    await session.handle({ ...generate(2), shown } as Request);
    const steps = outside.replies.flatMap((reply) => (reply.kind === "step" ? [reply.step] : []));
    const { cleanPictures, statePictures } = steps.at(-1)!;
    expect([cleanPictures?.length ?? 0, statePictures?.length ?? 0]).toEqual([clean, state]);
  });

  it("begins with latents where it is given some, and goes on from a snapshot", async () => {
    await session.handle({ ...generate(2), latents: new Float32Array(8) } as Request);
    await session.handle({ ...generate(3), resume: { taken: 3, snapshot: new Float64Array(8) } } as Request);
    expect(outside.engine.calls).toEqual(expect.arrayContaining([expect.stringMatching(/^start .* with 8$/), "resume after 3 with 8"]));
    expect(kinds(3)).toEqual(["step", "generated"]);
  });

  it("hands the seed over as digits", async () => {
    await session.handle(generate(2));
    expect(outside.engine.calls.find((call) => call.startsWith("start"))).toContain('"seed":"18446744073709551615"');
  });

  it("spends no more on pictures on the way than a share of the steps' time, and shows the last", async () => {
    // A step takes one second of the fake clock, a picture three.
    let clock = 0;
    outside.now = () => clock;
    outside.engine.onStep = () => void (clock += 1000);
    outside.engine.onDecode = () => void (clock += 3000);
    await session.handle(generate(2, { steps: 200 }));
    const shown = outside.replies.flatMap((reply) => (reply.kind === "step" && reply.step.cleanPictures ? [reply.step.index] : []));
    expect([shown[0], shown.at(-1)]).toEqual([1, 200]);
    // The first, which teaches what one takes, and the last are shown in any case.
    expect(shown.length).toBeLessThanOrEqual(200 * 0.15 / 3 + 2);
    expect(shown.length).toBeGreaterThanOrEqual(9);
  });

  it("stops between two steps and is freed", async () => {
    outside.engine.onStep = (index) => {
      if (index === 2) void session.handle({ kind: "cancel", id: 2 });
    };
    await session.handle(generate(2));
    expect(kinds(2)).toEqual(["step", "step", "generated"]);
    expect(last(2)).toMatchObject({ pictures: null });
    expect(outside.engine.calls.at(-1)).toBe("free");
  });

  it("waits for the one before it", async () => {
    await Promise.all([session.handle(generate(2)), session.handle(reconstruct(3))]);
    const order = outside.replies.map(({ id, kind }) => `${id} ${kind}`);
    expect(order.indexOf("2 generated")).toBeLessThan(order.indexOf("3 reconstructed"));
    expect(outside.replies).toContainEqual({ kind: "progress", id: 3, progress: { phase: "waiting" } });
  });

  it.each([["run", generate], ["reconstruction", reconstruct]])("that waits is stopped at once if it is a %s, and lets nobody pass the one before it", async (_, request) => {
    const { open, opened } = gate();
    outside.engine.onStep = () => opened;
    const first = session.handle(generate(2));
    await settle();
    const second = session.handle(request(3));
    await settle();
    await session.handle({ kind: "cancel", id: 3 });
    await second;
    expect(last(3)).toMatchObject({ kind: "error", error: { code: "cancelled" } });
    const third = session.handle(reconstruct(4));
    await settle();
    expect([kinds(2), kinds(4), outside.engine.calls.includes("encode")]).toEqual([[], [], false]);
    open();
    await Promise.all([first, third]);
    expect([last(2).kind, last(4).kind]).toEqual(["generated", "reconstructed"]);
  });
});

describe("a reconstruction", () => {
  it("that is stopped answers at once, though the device goes on; the next waits for the device", async () => {
    const { open, opened } = gate();
    outside.engine.onReconstruct = () => opened;
    const first = session.handle(reconstruct(2));
    await settle();
    expect(outside.engine.calls.at(-1)).toBe("encode");
    await session.handle({ kind: "cancel", id: 2 });
    await first;
    expect(last(2)).toMatchObject({ kind: "error", error: { code: "cancelled" } });
    const second = session.handle(generate(3));
    await settle();
    expect(kinds(3)).toEqual([]);
    open();
    await second;
    expect(last(3).kind).toBe("generated");
    expect(kinds(2)).toEqual(["error"]);
  });

  it("that lets no message in until it is done is stopped all the same", async () => {
    const inbox: Request[] = [];
    outside.breathe = async () => {
      for (const message of inbox.splice(0)) void session.handle(message);
    };
    outside.engine.onReconstruct = () => void inbox.push({ kind: "cancel", id: 2 });
    await session.handle(reconstruct(2));
    expect(kinds(2)).toEqual(["error"]);
    expect(last(2)).toMatchObject({ error: { code: "cancelled" } });
  });

  it("whose engine breaks after it was stopped still asks for a new worker", async () => {
    const { open, opened } = gate();
    outside.engine.onReconstruct = async () => {
      await opened;
      throw new WebAssembly.RuntimeError("unreachable");
    };
    const first = session.handle(reconstruct(2));
    await settle();
    await session.handle({ kind: "cancel", id: 2 });
    await first;
    open();
    await settle();
    expect(last(0)).toMatchObject({ kind: "error", error: { fatal: true } });
  });
});

describe("what is asked of the tokenizer", () => {
  it("is answered with what is known of the model once it is loaded", async () => {
    await session.handle({ kind: "prepare", id: 2, manifest: BASE });
    expect(last(2)).toMatchObject({ kind: "prepared", facts: { imageSize: 8, latentTokens: 2, latentChannels: 4, patches: 4, canHide: true } });
  });

  it("hides patches, and decodes several at once", async () => {
    await session.handle({ kind: "encode", id: 2, manifest: BASE, picture: PICTURE, hidden: Uint8Array.of(0, 1, 1, 0) });
    expect(outside.engine.calls).toContain("encode hiding 0110");
    expect(last(2)).toMatchObject({ kind: "encoded", latents: new Float32Array(8).fill(7) });
    await session.handle({ kind: "decode", id: 3, manifest: BASE, latents: Float32Array.from({ length: 16 }, (_, i) => (i < 8 ? 5 : 9)), reconstructed: true });
    const { pictures } = last(3) as Extract<Reply, { kind: "decoded" }>;
    expect(pictures.map(({ rgba, width }) => [rgba[0], rgba.length, width])).toEqual([[5, 256, 8], [9, 256, 8]]);
  });

  it("reconstructs the square that was asked for", async () => {
    await session.handle({ kind: "reconstruct", id: 2, manifest: BASE, file: new ArrayBuffer(8), crop: { x: 1, y: 2, side: 33 } });
    const { result } = last(2) as Extract<Reply, { kind: "reconstructed" }>;
    expect([result.square.rgba[0], result.reconstruction.rgba[0], result.psnr, result.ssim, result.width]).toEqual([33, 7, 20, 0.5, 20]);
  });
});

describe("what needs no device", () => {
  it("is answered in the midst of a run", async () => {
    const { open, opened } = gate();
    outside.engine.onStep = () => opened;
    const running = session.handle(generate(2));
    await settle();
    await session.handle({ kind: "open", id: 3, file: new ArrayBuffer(8), size: 4, crop: null });
    await session.handle({ kind: "score", id: 4, a: PICTURE, b: PICTURE });
    await session.handle({ kind: "mix", id: 5, a: Float32Array.of(0, 2), b: Float32Array.of(4, 2), share: 0.25, way: "linear" });
    await session.handle({ kind: "npy", id: 6, array: { name: "z", shape: [2, 1], values: Float32Array.of(1, 2) } });
    await session.handle({ kind: "safetensors", id: 7, arrays: [{ name: "z", shape: [1], values: Float32Array.of(1) }], metadata: { a: "b" } });
    await session.handle({ kind: "png-text", id: 8, file: new ArrayBuffer(8) });
    expect(last(3)).toMatchObject({ kind: "opened", opened: { square: { width: 4 }, width: 20, height: 10 } });
    expect(last(4)).toEqual({ kind: "scored", id: 4, psnr: 20, ssim: 0.5 });
    expect(last(5)).toEqual({ kind: "mixed", id: 5, latents: Float32Array.of(1, 2) });
    expect([6, 7].map((id) => [...new Uint8Array((last(id) as Extract<Reply, { kind: "file" }>).file)])).toEqual([[2, 2, 1], [1, 9]]);
    expect(last(8)).toEqual({ kind: "text", id: 8, text: "{}" });
    expect(kinds(2)).toEqual([]);
    open();
    await running;
  });

  it("projects on the components fitted last, and says so if there are none", async () => {
    const rows = Float32Array.of(1, 2, 3, 4);
    await session.handle({ kind: "project", id: 2, rows });
    expect(last(2)).toMatchObject({ kind: "error", error: { code: "setting" } });
    await session.handle({ kind: "fit", id: 3, rows, width: 2, count: 2 });
    expect(last(3)).toEqual({ kind: "fitted", id: 3, codes: Float32Array.of(1, 2), count: 2, shares: [0.5, 0.5] });
    await session.handle({ kind: "project", id: 4, rows: Float32Array.of(9, 8) });
    expect(last(4)).toEqual({ kind: "projected", id: 4, codes: Float32Array.of(9, 8), count: 2 });
  });
});

describe("the engine's code", () => {
  const png = (id: number): Request => ({ kind: "png", id, picture: PICTURE, text: null });
  /** Counts the loads; each waits for `opened`. */
  const slowly = (opened: Promise<void>) => {
    const { loadBindings } = outside;
    const loads: number[] = [];
    outside.loadBindings = async (onBytes) => {
      loads.push(1);
      await opened;
      return loadBindings(onBytes);
    };
    return loads;
  };

  it("is loaded once for two that ask at the same time", async () => {
    const { open, opened } = gate();
    const loads = slowly(opened);
    const both = Promise.all([session.handle(png(2)), session.handle(generate(3))]);
    await settle();
    open();
    await both;
    expect(loads).toHaveLength(1);
    expect([last(2).kind, last(3).kind]).toEqual(["file", "generated"]);
  });

  it("that does not arrive fails all who wait for it, and is asked for again", async () => {
    const { loadBindings } = outside;
    outside.loadBindings = async () => {
      await settle();
      throw new MaetokError("download", "No.");
    };
    await Promise.all([session.handle(png(2)), session.handle(generate(3))]);
    expect([last(2), last(3)]).toMatchObject([{ error: { message: "No." } }, { error: { message: "No." } }]);
    outside.loadBindings = loadBindings;
    await Promise.all([session.handle(png(4)), session.handle(generate(5))]);
    expect([last(4).kind, last(5).kind]).toEqual(["file", "generated"]);
  });

  it("goes on for another when the one who began is stopped", async () => {
    const { open, opened } = gate();
    const loads = slowly(opened);
    const first = session.handle(generate(2));
    await settle();
    const second = session.handle(png(3));
    await session.handle({ kind: "cancel", id: 2 });
    await first;
    expect(last(2)).toMatchObject({ error: { code: "cancelled", fatal: false } });
    open();
    await second;
    expect([last(3).kind, loads.length]).toEqual(["file", 1]);
  });

  it("that only the one who is stopped waits for goes with the worker", async () => {
    slowly(new Promise(() => {}));
    const only = session.handle(generate(2));
    await settle();
    await session.handle({ kind: "cancel", id: 2 });
    await only;
    expect(last(2)).toMatchObject({ error: { code: "cancelled", fatal: true } });
  });

  it("goes on when a file of the model fails, and serves the next try", async () => {
    const { open, opened } = gate();
    const loads = slowly(opened);
    const weights = outside.model.files.get("sit/model.safetensors")!;
    weights[9]! ^= 1;
    await session.handle(generate(2));
    expect(last(2)).toMatchObject({ error: { code: "checksum", fatal: false } });
    weights[9]! ^= 1;
    open();
    await session.handle(generate(3));
    expect([last(3).kind, loads.length]).toEqual(["generated", 1]);
  });

  it("is not waited for by one who is stopped, while another waits on", async () => {
    const { open, opened } = gate();
    const loads = slowly(opened);
    const first = session.handle(png(2));
    const second = session.handle(generate(3));
    await settle();
    await session.handle({ kind: "cancel", id: 3 });
    await second;
    expect(last(3)).toMatchObject({ error: { code: "cancelled" } });
    open();
    await first;
    expect([last(2).kind, loads.length]).toEqual(["file", 1]);
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

it("a run asked for while the browser is still being examined waits for the result", async () => {
  outside = world();
  const { open, opened } = gate();
  const { gather } = outside;
  outside.gather = async () => (await opened, gather());
  session = new Session(outside);
  const both = [session.handle(diagnose(0)), session.handle(generate(2))];
  await settle();
  open();
  await Promise.all(both);
  expect(last(2).kind).toBe("generated");
});

describe("a WebGPU that does not open", () => {
  it("gives way to the CPU, and the page is told", async () => {
    await session.handle(diagnose(9, "webgpu"));
    outside.webgpuFails = true;
    await session.handle(generate(2));
    expect(last(2).kind).toBe("generated");
    expect(outside.created).toEqual(["webgpu", "cpu"]);
    expect(last(0)).toMatchObject({ kind: "diagnosis", diagnosis: { engine: "cpu", alert: true, reason: expect.stringContaining("(No device)") } });
  });
});

describe("the self-test of the kernels", () => {
  const row = () => {
    const reply = outside.replies.filter(({ kind }) => kind === "diagnosis").at(-1)!;
    return reply.kind === "diagnosis" ? reply.diagnosis.checks.find(({ name }) => name === "Self-test of the kernels") : undefined;
  };
  /** A page opened anew in the same browser. */
  const again = async (kernels: { refused?: string[]; retest?: boolean } = {}) => {
    const { kept, model } = outside;
    outside = Object.assign(world(), { kept, source: async () => model });
    session = new Session(outside);
    await session.handle(diagnose(9, "webgpu", kernels));
  };
  const fine = (when: string) => ({ name: "Self-test of the kernels", ok: true, value: `all gave the right numbers (${when})` });

  it("is told once the device is open, and remembered by the next page", async () => {
    await again();
    await session.handle(generate(2));
    expect(row()).toEqual(fine("tested now"));
    await again();
    await session.handle(generate(2));
    expect(row()).toEqual(fine("remembered"));
    expect([...outside.kept.keys()]).toEqual(["google, swiftshader, , "]);
  });

  it("is done again if what was kept is damaged, or a person wants it", async () => {
    await again();
    outside.kept.set("google, swiftshader, , ", "nonsense");
    await session.handle(generate(2));
    expect(row()).toEqual(fine("tested now"));
    await again({ retest: true });
    expect(row()).toMatchObject({ value: "will be repeated with the next picture" });
    await session.handle(generate(2));
    expect(row()).toEqual(fine("tested now"));
    expect(outside.told).toEqual([{ remembered: undefined, refused: [] }]);
  });

  it("names what is left out, the next time too, and the picture is made all the same", async () => {
    await again({ refused: ["attention: no such thing"] });
    await session.handle(generate(2));
    expect(row()).toMatchObject({ ok: false, value: expect.stringContaining("attention: no such thing (tested now)") });
    expect(last(2).kind).toBe("generated");
    expect([...outside.kept.values()]).toEqual(["verdict: attention: no such thing"]);
  });

  it("is said to be under way while it is, for the graphics processor's complaints are its own then", async () => {
    await again();
    const { loadBindings } = outside;
    const seen: boolean[] = [];
    outside.loadBindings = async (onBytes) => {
      const bindings = await loadBindings(onBytes);
      return { ...bindings, createEngine: (...all) => (seen.push(session.testing), bindings.createEngine(...all)) };
    };
    await session.handle(generate(2));
    expect([...seen, session.testing]).toEqual([true, false]);
  });
});

describe("compiling ahead", () => {
  beforeEach(() => session.handle(diagnose(9, "webgpu")));
  /** Holds the weights back until `opened`. */
  const slowly = (opened: Promise<void>) => {
    const { fetch } = outside.model;
    outside.model.fetch = async (url, init) => {
      if (url.endsWith(".safetensors")) await opened;
      return fetch(url, init);
    };
  };

  it("goes on while the weights are on their way, and the weights wait for its end", async () => {
    const [weights, compiled] = [gate(), gate()];
    slowly(weights.opened);
    outside.engine.onWarmUp = () => compiled.opened;
    const run = session.handle(generate(2));
    await settle();
    expect(outside.engine.calls).toEqual(["warm up {} { }"]);
    weights.open();
    await settle();
    expect(outside.engine.calls).toHaveLength(1);
    compiled.open();
    await run;
    expect(outside.engine.calls.slice(0, 2)).toEqual(["warm up {} { }", "load"]);
  });

  it("that fails leaves it to the run", async () => {
    const { open, opened } = gate();
    slowly(opened);
    outside.engine.onWarmUp = () => Promise.reject(new Error("no"));
    const run = session.handle(generate(2));
    await settle();
    open();
    await run;
    expect(last(2).kind).toBe("generated");
  });

  it("is not begun once the weights are there, nor on the CPU", async () => {
    const { loadBindings } = outside;
    const { open, opened } = gate();
    outside.loadBindings = async (onBytes) => (await opened, loadBindings(onBytes));
    const run = session.handle(generate(2));
    await settle();
    open();
    await run;
    outside = world();
    session = new Session(outside);
    const late = gate();
    slowly(late.opened);
    await session.handle(diagnose(1));
    const other = session.handle(generate(2));
    await settle();
    late.open();
    await other;
    expect(outside.engine.calls.filter((call) => call.startsWith("warm"))).toEqual([]);
  });

  it("of a run that was stopped does not meet the next one's load", async () => {
    const [weights, compiled] = [gate(), gate()];
    slowly(weights.opened);
    outside.engine.onWarmUp = () => compiled.opened;
    const first = session.handle(generate(2));
    await settle();
    await session.handle({ kind: "cancel", id: 2 });
    weights.open();
    await first;
    const second = session.handle(generate(3));
    await settle();
    expect(outside.engine.calls).not.toContain("load");
    compiled.open();
    await second;
    expect([last(3).kind, outside.created]).toEqual(["generated", ["webgpu"]]);
  });
});

describe("a failure", () => {
  it("of the engine's own kind passes with its code", async () => {
    await session.handle({ kind: "reconstruct", id: 2, manifest: BASE, file: new ArrayBuffer(1), crop: null });
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

  it("of one kernel names it for the next engine", async () => {
    let go = () => {};
    outside.breathe = () => new Promise((resolve) => (go = resolve));
    void session.handle(generate(2));
    await settle();
    session.refuse("attention", "no such thing");
    const error = { code: "kernel", fatal: true, refused: "attention: no such thing" };
    expect(last(2)).toMatchObject({ kind: "error", error });
    expect(last(2)).toMatchObject({ error: { message: "The run failed: the graphics processor refuses the kernel attention (no such thing)." } });
    go();
  });

  it("with nothing under way still reaches the page", () => {
    session.crash(new Error("the device was lost"));
    expect(last(0)).toMatchObject({ kind: "error", error: { fatal: true } });
  });
});
