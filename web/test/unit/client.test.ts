import { expect, it } from "vitest";
import { Client, type Port } from "../../src/client.ts";
import type { Reply, Request, SampleRequest, StepReport } from "../../src/protocol.ts";

const REQUEST: SampleRequest = { class: "lorelei", seed: "1", steps: 2, guidance: 2, sampler: "euler" };

const step = (index: number): StepReport => ({ index, of: 2, t: 1, clean: new Float32Array(4), state: new Float32Array(4), snapshot: new Float64Array(4).fill(index), cleanPictures: null, statePictures: null });

class FakePort implements Port {
  readonly sent: Request[] = [];
  terminated = false;
  onmessage: Port["onmessage"] = null;
  onerror: Port["onerror"] = null;
  postMessage(message: Request): void {
    this.sent.push(message);
  }
  terminate(): void {
    this.terminated = true;
  }
  reply(message: Reply): void {
    this.onmessage?.call(this as unknown as Worker, { data: message } as MessageEvent);
  }
}

function setUp(): { client: Client; ports: FakePort[] } {
  const ports: FakePort[] = [];
  const client = new Client("auto", () => {
    const port = new FakePort();
    ports.push(port);
    return port;
  });
  return { client, ports };
}

it("tells a new worker first what it may run on", () => {
  const { client, ports } = setUp();
  void client.describe("m");
  expect(ports[0]!.sent.map(({ kind }) => kind)).toEqual(["diagnose", "describe"]);
});

it("passes steps on and answers with the picture", async () => {
  const { client, ports } = setUp();
  const heard: number[] = [];
  const running = client.generate("m", [REQUEST], new AbortController().signal, { onStep: ({ index }) => heard.push(index) });
  const { id } = ports[0]!.sent.at(-1)!;
  const timing = { engine: 1, steps: 2, previews: 3, shown: 1 };
  ports[0]!.reply({ kind: "step", id, step: step(1) });
  ports[0]!.reply({ kind: "generated", id, pictures: null, timing });
  expect(await running).toEqual({ pictures: null, timing, resumed: 0 });
  expect(heard).toEqual([1]);
});

it("asks the worker to stop, once", async () => {
  const { client, ports } = setUp();
  const abort = new AbortController();
  void client.generate("m", [REQUEST], abort.signal).catch(() => {});
  const { id } = ports[0]!.sent.at(-1)!;
  abort.abort();
  expect(ports[0]!.sent.at(-1)).toEqual({ kind: "cancel", id });
});

it("replaces a worker whose engine is lost, and fails what was under way", async () => {
  const { client, ports } = setUp();
  const running = client.generate("m", [REQUEST], new AbortController().signal);
  const waiting = client.describe("m");
  const { id } = ports[0]!.sent[1]!;
  ports[0]!.reply({ kind: "error", id, error: { code: "crash", message: "It broke.", advice: "", fatal: true } });
  await expect(running).rejects.toMatchObject({ code: "crash" });
  await expect(waiting).rejects.toMatchObject({ code: "crash" });
  expect(ports[0]!.terminated).toBe(true);
  void client.describe("m");
  expect(ports).toHaveLength(2);
});

it("goes on with a run whose device was lost, from its last step, and gives up in the end", async () => {
  const { client, ports } = setUp();
  const heard: unknown[] = [];
  const running = client.generate("m", [REQUEST], new AbortController().signal, { onProgress: (progress) => heard.push(progress) });
  const ended = expect(running).rejects.toMatchObject({ code: "device" });
  const lose = (port: FakePort) => port.reply({ kind: "error", id: port.sent.at(-1)!.id, error: { code: "device", message: "It was lost.", advice: "", fatal: true } });
  ports[0]!.reply({ kind: "step", id: ports[0]!.sent.at(-1)!.id, step: step(1) });
  for (const _ of [1, 2, 3, 4]) {
    lose(ports.at(-1)!);
    await new Promise((resolve) => setTimeout(resolve));
  }
  await ended;
  expect(ports).toHaveLength(4);
  expect(ports[1]!.sent.at(-1)).toMatchObject({ kind: "generate", resume: { taken: 1, snapshot: Float64Array.of(1, 1, 1, 1) } });
  expect(heard).toEqual(Array(3).fill({ phase: "resume", taken: 1, cause: "It was lost." }));
});

it("decodes the last state where the device was lost after the last step", async () => {
  const { client, ports } = setUp();
  const running = client.generate("m", [REQUEST], new AbortController().signal);
  const { id } = ports[0]!.sent.at(-1)!;
  ports[0]!.reply({ kind: "step", id, step: { ...step(2), state: Float32Array.of(1, 2, 3, 4) } });
  ports[0]!.reply({ kind: "error", id, error: { code: "device", message: "It was lost.", advice: "", fatal: true } });
  await new Promise((resolve) => setTimeout(resolve));
  const asked = ports[1]!.sent.at(-1)!;
  expect(asked).toMatchObject({ kind: "decode", latents: Float32Array.of(1, 2, 3, 4), reconstructed: false });
  ports[1]!.reply({ kind: "decoded", id: asked.id, pictures: [], ms: 5 });
  expect(await running).toMatchObject({ pictures: [], resumed: 2 });
});

it("does not go on where nothing was reached, or when it was stopped", async () => {
  const { client, ports } = setUp();
  const error = { code: "device", message: "It was lost.", advice: "", fatal: true };
  const early = client.generate("m", [REQUEST], new AbortController().signal);
  ports[0]!.reply({ kind: "error", id: ports[0]!.sent.at(-1)!.id, error });
  await expect(early).rejects.toMatchObject({ code: "device" });
  const abort = new AbortController();
  const stopped = client.generate("m", [REQUEST], abort.signal);
  const { id } = ports[1]!.sent.at(-1)!;
  ports[1]!.reply({ kind: "step", id, step: step(1) });
  abort.abort();
  ports[1]!.reply({ kind: "error", id, error });
  await expect(stopped).rejects.toMatchObject({ code: "device" });
  expect(ports).toHaveLength(2);
});

it("keeps the worker after an ordinary error", async () => {
  const { client, ports } = setUp();
  const running = client.describe("m");
  ports[0]!.reply({ kind: "error", id: ports[0]!.sent.at(-1)!.id, error: { code: "download", message: "No.", advice: "", fatal: false } });
  await expect(running).rejects.toMatchObject({ code: "download", message: "No." });
  void client.describe("m");
  expect(ports).toHaveLength(1);
});

it("starts anew with another wish", async () => {
  const { client, ports } = setUp();
  const running = client.diagnose();
  client.restart("cpu");
  await expect(running).rejects.toMatchObject({ code: "cancelled" });
  void client.diagnose();
  expect(ports[1]!.sent.at(-1)).toMatchObject({ kind: "diagnose", wanted: "cpu" });
});

it("passes on a diagnosis that nobody asked for", () => {
  const { client, ports } = setUp();
  const heard: string[] = [];
  client.onDiagnosis = ({ reason }) => heard.push(reason);
  void client.describe("m");
  ports[0]!.reply({ kind: "diagnosis", id: 0, diagnosis: { engine: "cpu", badge: "CPU", reason: "So.", advice: "", alert: true, webgpuUsable: false, checks: [] } });
  expect(heard).toEqual(["So."]);
});

/** A worker's `error` event; a script that does not load gives no message. */
const failing = (port: FakePort, message?: string) => port.onerror?.call(port as unknown as Worker, { message, preventDefault() {} } as ErrorEvent);

it.each([
  ["does not load", undefined, { code: "download", message: "The script of the engine's worker could not be loaded." }],
  ["fails at once", "x is not defined", { code: "crash", message: "The engine's worker failed (x is not defined)." }],
])("says what happened to a worker whose script %s, and takes another for the next try", async (_, message, told) => {
  const { client, ports } = setUp();
  const running = client.describe("m");
  failing(ports[0]!, message);
  await expect(running).rejects.toMatchObject(told);
  expect(ports[0]!.terminated).toBe(true);
  void client.describe("m");
  expect(ports).toHaveLength(2);
});

it("ends its worker with the page's element", async () => {
  const { client, ports } = setUp();
  const running = client.describe("m");
  client.end();
  await expect(running).rejects.toMatchObject({ code: "cancelled" });
  expect(ports[0]!.terminated).toBe(true);
});

it("tells the worker after a refused kernel to leave it out, until the kernels are tested again", async () => {
  const { client, ports } = setUp();
  const first = client.describe("m");
  const { id } = ports[0]!.sent.at(-1)!;
  ports[0]!.reply({ kind: "error", id, error: { code: "kernel", message: "No.", advice: "", fatal: true, refused: "attention: no" } });
  await expect(first).rejects.toMatchObject({ code: "kernel" });
  void client.describe("m").catch(() => {});
  expect(ports[1]!.sent[0]).toMatchObject({ kind: "diagnose", refused: ["attention: no"], retest: false });
  client.retest();
  void client.diagnose();
  expect(ports[2]!.sent).toMatchObject([{ kind: "diagnose", refused: [], retest: true }, { kind: "diagnose", refused: [], retest: true }]);
});
