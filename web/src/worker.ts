/** The module worker: hands messages to the session and replies back. The only file that owns the wasm engine. */

import { gather } from "./diagnosis.ts";
import { loadBindings, WASM_BYTES } from "./engine.ts";
import { MaetokError } from "./errors.ts";
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
 * on with zeros: a wrong picture that nobody notices.
 */
function watchGpu(): void {
  const prototype = globalThis.GPUAdapter?.prototype;
  if (!prototype) return;
  const request = prototype.requestDevice;
  prototype.requestDevice = async function (descriptor) {
    const device = await request.call(this, descriptor);
    device.addEventListener("uncapturederror", (event) => fail(`the graphics processor reported: ${event.error.message}`));
    void device.lost.then((info) => {
      if (info.reason !== "destroyed") fail(`the graphics processor was lost: ${info.message || "no reason given"}`);
    });
    return device;
  };
}

function fail(cause: string): void {
  const [line] = cause.split("\n");
  session.crash(new MaetokError("device", `The run failed: ${line}.`, "The engine has been restarted: try again, or choose the CPU engine above."));
}
