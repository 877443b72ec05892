/** The module worker: hands messages to the session and replies back. The only file that owns the wasm engine. */

import { gather } from "./diagnosis.ts";
import { loadBindings, WASM_BYTES } from "./engine.ts";
import { MaetokError } from "./errors.ts";
import { keep, recall } from "./memory.ts";
import { type Request, transferables } from "./protocol.ts";
import { Session } from "./session.ts";
import { browserSource } from "./weights.ts";

/** The part of a dedicated worker's scope in use: TypeScript's library for it does not go together with the page's. */
interface Scope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent<Request>) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(type: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
}
const scope = globalThis as unknown as Scope;

/** A message to oneself comes back after those already waiting: four milliseconds sooner than a timer. */
const echo = new MessageChannel();
let wake: (() => void)[] = [];
echo.port1.onmessage = () => {
  const waiting = wake;
  wake = [];
  for (const resume of waiting) resume();
};

const session = new Session({
  post: (reply) => scope.postMessage(reply, transferables(reply)),
  gather,
  source: browserSource,
  loadBindings,
  engineBytes: WASM_BYTES,
  recall,
  keep,
  breathe: () =>
    new Promise((resume) => {
      wake.push(resume);
      echo.port2.postMessage(null);
    }),
  now: () => performance.now(),
});

watchGpu();
scope.addEventListener("message", (event) => void session.handle(event.data));
// A trap in the middle of an async call leaves its promise pending for ever; it comes up here instead.
scope.addEventListener("error", (event) => session.crash(event.error ?? new Error(event.message)));
scope.addEventListener("unhandledrejection", (event) => session.crash(event.reason));

/**
 * Makes a failing GPU heard. On the web Burn and wgpu only log an invalid shader or a lost device, and the run would go
 * on with zeros: a wrong picture that nobody notices. Or they panic, which tells nobody what it was.
 */
function watchGpu(): void {
  /** Firefox tells sooner what follows from a refused pipeline than that it is refused. */
  let answered: Promise<unknown> = Promise.resolve();
  let refused = false;
  const adapter = globalThis.GPUAdapter?.prototype;
  const device = globalThis.GPUDevice?.prototype;
  if (!adapter || !device) return;
  const request = adapter.requestDevice;
  adapter.requestDevice = async function (descriptor) {
    const device = await request.call(this, descriptor);
    device.addEventListener("uncapturederror", (event) => {
      // wgpu listens too, and would panic.
      event.stopImmediatePropagation();
      void answered.then(() => refused || fail(`the graphics processor reported: ${event.error.message}`));
    });
    void device.lost.then((info) => {
      if (info.reason !== "destroyed") fail(`the graphics processor was lost: ${info.message || "no reason given"}`);
    });
    return device;
  };
  const create = device.createComputePipeline;
  device.createComputePipeline = function (descriptor) {
    if (session.testing) return create.call(this, descriptor);
    this.pushErrorScope("validation");
    this.pushErrorScope("internal");
    const pipeline = create.call(this, descriptor);
    const answers = [this.popErrorScope(), this.popErrorScope()].map((answer) =>
      answer.then(
        (error) => {
          if (!error || refused) return;
          refused = true;
          // The engine labels each with its kernel's name.
          session.refuse(descriptor.label ?? "", firstLine(error.message));
        },
        () => {},
      ),
    );
    answered = Promise.all([answered, ...answers]);
    return pipeline;
  };
}

function fail(cause: string): void {
  session.crash(new MaetokError("device", `The run failed: ${firstLine(cause)}.`, "The engine has been restarted: try again, or choose the CPU engine above."));
}

function firstLine(text: string): string {
  return text.split("\n")[0]!.replace(/\.$/, "");
}
