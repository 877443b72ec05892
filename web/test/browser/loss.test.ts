/**
 * A graphics processor that is lost in the midst of a run, in Chromium: the browser's own GPU process is killed. The run
 * goes on from its last step, to the same picture, and the machine's panel tells of it.
 */

import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { killGpuProcess, launch } from "./browsers.ts";
import { TestServer } from "./server.ts";
import { Studio, temporaryFolder } from "./studio.ts";

/** A software adapter needs its time. */
const PATIENCE = 600_000;

/** A value may differ by so much of 255. */
const TOLERANCE = 2;

const RUN = { steps: 30, seed: "11", guidance: 2 };

const folder = temporaryFolder();
let browser: Browser;
let server: TestServer;
let studio: Studio | undefined;

beforeAll(async () => {
  server = await TestServer.start();
  browser = await launch("chromium", folder);
});
afterEach(async () => {
  await studio?.close();
  studio = undefined;
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

it("a run whose device is lost is taken up on a new one and ends with the same picture", async () => {
  studio = await Studio.open(browser, server.origin, folder, { query: "?device=webgpu" });
  const { page } = studio;
  const pixels = () => page.$eval(".stage .picture", (canvas) => [...(canvas as HTMLCanvasElement).getContext("2d", { willReadFrequently: true })!.getImageData(0, 0, (canvas as HTMLCanvasElement).width, (canvas as HTMLCanvasElement).height).data]);
  expect(await studio.generate(RUN, PATIENCE)).toMatch(/^Done/);
  const undisturbed = await pixels();

  await page.evaluate(() => {
    const said: string[] = [];
    Object.assign(globalThis, { said });
    new MutationObserver(() => said.push(document.querySelector(".task .words")?.textContent ?? "")).observe(document.querySelector(".task .words")!, { childList: true, characterData: true, subtree: true });
  });
  await studio.press("Generate");
  await studio.until(() => Number(/^Step (\d+) of/.exec(document.querySelector(".task .words")?.textContent ?? "")?.[1] ?? 0) >= 5);
  killGpuProcess(browser);
  expect(await studio.finished(PATIENCE)).toMatch(/^Done/);
  const said = await page.evaluate(() => (globalThis as unknown as { said: string[] }).said);
  const resumed = said.find((words) => /^The graphics processor was lost; going on after step \d+…$/.test(words));
  expect(resumed, "the loss was said").toBeDefined();

  const taken = await pixels();
  expect(taken.length).toBe(undisturbed.length);
  const worst = taken.reduce((most, value, i) => Math.max(most, Math.abs(value - undisturbed[i]!)), 0);
  console.log(`${resumed} Worst difference to the undisturbed picture: ${worst} of 255.`);
  expect(worst).toBeLessThanOrEqual(TOLERANCE);
  expect(new Set(taken).size, "a picture, not a plain colour").toBeGreaterThan(20);

  // The panel has written both halves down, the one that was lost and the one that ended it.
  await studio.show("machine");
  const after = /after step (\d+)/.exec(resumed!)![1];
  // Newest first; the film's other pictures were made since.
  const written = (words: string) =>
    studio!.until((words) => [...document.querySelectorAll("#panel-machine .runs li p")].some((one) => new RegExp(words).test(one.textContent ?? "")), [words], 30_000);
  await written(`^taken up after step ${after} on a new device · `);
  await written(`the device was lost after step ${after}$`);
});
