/** What the engine was asked on this page and how long each part of it took: the last of it, for the panel that shows it. */

import type { MaetokError } from "./errors.ts";
import type { Progress, Reply, Request, Timing } from "./protocol.ts";

/** What is written down: work that takes time. */
const KINDS = ["prepare", "generate", "reconstruct", "encode", "decode", "bench"] as const;

export type Kind = (typeof KINDS)[number];

export type Phase = Progress["phase"];

export interface Entry {
  what: Kind;
  /** When it began, in milliseconds since 1970. */
  at: number;
  /** From the question to the answer; null while it is under way. */
  ms: number | null;
  /** `done`, `stopped`, or the error's code. */
  outcome: string;
  /** Milliseconds in each phase, in the order of the phases. */
  phases: [Phase, number][];
  /** Pictures of a batch, and the steps of a run: how many were taken, of how many. */
  pictures: number;
  steps: number;
  of: number;
  /** After how many steps this run took up one that a lost device had ended; null for any other. */
  resumed: number | null;
  /** Of a run. */
  timing: Timing | null;
  /** The engine's own time of a single call. */
  call: number | null;
}

/** So many entries are kept. */
const MOST = 50;

export class Journal {
  readonly entries: Entry[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Calls `listener` when something has begun or ended, or the engine was lost, until `signal` is aborted. */
  subscribe(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
  }

  /** Opens an entry; null for what is not written down. */
  begin(request: Omit<Request, "id">): Pen | null {
    const what = KINDS.find((kind) => kind === request.kind);
    if (!what) return null;
    const { requests, resume } = request as Partial<Extract<Request, { kind: "generate" }>>;
    const entry: Entry = { what, at: Date.now(), ms: null, outcome: "running", phases: [], pictures: requests?.length ?? 0, steps: resume?.taken ?? 0, of: requests?.[0]?.steps ?? 0, resumed: resume?.taken ?? null, timing: null, call: null };
    this.entries.push(entry);
    if (this.entries.length > MOST) this.entries.shift();
    this.tell();
    return new Pen(entry, this.#now, () => this.tell());
  }

  /** Something else has changed that readers should know. */
  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Writes one entry. */
export class Pen {
  readonly #entry: Entry;
  readonly #now: () => number;
  readonly #tell: () => void;
  readonly #began: number;
  #phaseBegan: number;

  constructor(entry: Entry, now: () => number, tell: () => void) {
    this.#entry = entry;
    this.#now = now;
    this.#tell = tell;
    this.#began = this.#phaseBegan = now();
  }

  progress({ phase }: Progress): void {
    const { phases } = this.#entry;
    if (phases.at(-1)?.[0] === phase) return;
    this.#close();
    phases.push([phase, 0]);
  }

  step({ index }: { index: number }): void {
    this.#entry.steps = index;
  }

  end(reply: Reply): void {
    if (reply.kind === "generated") this.#entry.timing = reply.timing;
    if (reply.kind === "encoded" || reply.kind === "decoded") this.#entry.call = reply.ms;
    if (reply.kind === "reconstructed") this.#entry.call = reply.result.ms;
    if (reply.kind === "decoded") this.#entry.pictures = reply.pictures.length;
    this.#finish(reply.kind === "generated" && reply.pictures === null ? "stopped" : "done");
  }

  fail({ code }: MaetokError): void {
    this.#finish(code === "cancelled" ? "stopped" : code);
  }

  #close(): void {
    const now = this.#now();
    const last = this.#entry.phases.at(-1);
    if (last) last[1] = now - this.#phaseBegan;
    this.#phaseBegan = now;
  }

  #finish(outcome: string): void {
    this.#close();
    this.#entry.ms = this.#now() - this.#began;
    this.#entry.outcome = outcome;
    this.#tell();
  }
}
