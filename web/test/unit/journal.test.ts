/** What is written down of the engine's work, and what the panel makes of it. */

import { expect, it } from "vitest";
import { MaetokError } from "../../src/errors.ts";
import { Journal } from "../../src/journal.ts";
import { details } from "../../src/panels/machine/times.ts";
import type { Reply, Request, SampleRequest } from "../../src/protocol.ts";

const request = (steps: number): SampleRequest => ({ class: "a", seed: "1", steps, guidance: 1, sampler: "euler" });
const generate = (steps: number, resume: { taken: number; snapshot: Float64Array<ArrayBuffer> } | null = null): Omit<Request, "id"> =>
  ({ kind: "generate", manifest: "m", requests: [request(steps), request(steps)], latents: null, shown: "clean", resume }) as Omit<Request, "id">;

function setUp() {
  let now = 0;
  const journal = new Journal(() => now);
  return { journal, wait: (ms: number) => (now += ms) };
}

it("adds up the phases of a run to the whole", () => {
  const { journal, wait } = setUp();
  const pen = journal.begin(generate(4))!;
  wait(10);
  pen.progress({ phase: "download", loaded: 0, total: 9 });
  wait(100);
  pen.progress({ phase: "download", loaded: 9, total: 9 });
  pen.progress({ phase: "load" });
  wait(20);
  pen.progress({ phase: "compute" });
  for (let index = 1; index <= 4; index++) (wait(50), pen.step({ index }));
  pen.end({ kind: "generated", id: 1, pictures: [], timing: { engine: 130, steps: 200, previews: 22, shown: 2 } } satisfies Reply);
  expect(journal.entries).toMatchObject([{ what: "generate", ms: 330, outcome: "done", phases: [["download", 100], ["load", 20], ["compute", 200]], pictures: 2, steps: 4, of: 4, resumed: null }]);
  expect(details(journal.entries[0]!)).toEqual(["download 100 ms", "making ready 20 ms", "computing 200 ms", "50 ms a step", "guesses 10 % of it"]);
});

it("tells a run that was stopped from one that failed and one that lost its device", () => {
  const { journal } = setUp();
  const stopped = journal.begin(generate(9))!;
  stopped.step({ index: 3 });
  stopped.end({ kind: "generated", id: 1, pictures: null, timing: { engine: 0, steps: 1, previews: 0, shown: 0 } });
  journal.begin(generate(9))!.fail(new MaetokError("download", "No."));
  const lost = journal.begin(generate(9))!;
  lost.step({ index: 5 });
  lost.fail(new MaetokError("device", "It was lost.", "", true));
  const resumed = journal.begin(generate(9, { taken: 5, snapshot: new Float64Array(1) }))!;
  resumed.step({ index: 9 });
  resumed.end({ kind: "generated", id: 1, pictures: [], timing: { engine: 0, steps: 40, previews: 0, shown: 0 } });
  expect(journal.entries.map((entry) => details(entry).at(-1))).toEqual(["stopped after step 3", "failed (download)", "the device was lost after step 5", "guesses 0 % of it"]);
  // Four steps were taken by the second half.
  expect(details(journal.entries[3]!)).toEqual(["taken up after step 5 on a new device", "10 ms a step", "guesses 0 % of it"]);
});

it("writes nothing down that takes no time, and keeps no more than a page needs", () => {
  const { journal } = setUp();
  expect(journal.begin({ kind: "device" })).toBeNull();
  for (let i = 0; i < 60; i++) journal.begin(generate(i + 1));
  expect(journal.entries).toHaveLength(50);
  expect(journal.entries[0]!.of).toBe(11);
});

it("tells those who listen until they no longer do", () => {
  const { journal } = setUp();
  const ending = new AbortController();
  let heard = 0;
  journal.subscribe(() => heard++, ending.signal);
  journal.begin(generate(1))!.fail(new MaetokError("cancelled", "Stopped."));
  expect(heard).toBe(2);
  ending.abort();
  journal.tell();
  expect(heard).toBe(2);
});
