/**
 * The same seed gives the same picture: native CPU against the browser's CPU path and WebGPU, in both browsers, within
 * 2 of 255 in every pixel of a 10-step Euler picture and of a guided one. No test is skipped: without an adapter this fails.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { type BrowserName, launch } from "./browsers.ts";
import { decode, type Pixels, worstDifference } from "./png.ts";
import { MODEL, TestServer } from "./server.ts";
import { Studio, temporaryFolder } from "./studio.ts";

const CLI = process.env.MAETOK_CLI ?? fileURLToPath(new URL("../../../target/release/maetok", import.meta.url));
/**
 * The pictures that are compared. Guidance runs the network on the two halves of a batch and mixes them, in every step
 * alike: few steps show it, and a software adapter needs seconds for each.
 */
const RUNS = {
  cpu: [{ steps: 10, guidance: 1 }, { steps: 10, guidance: 2 }],
  webgpu: [{ steps: 10, guidance: 1 }, { steps: 3, guidance: 2 }],
};
/** The demand. Measured: see the lines this test prints. */
const TOLERANCE = 2;
/** A software adapter needs minutes where a graphics processor needs a second. */
const PATIENCE = 900_000;

describe("a 10-step Euler picture, and a guided one, against the native CPU's", () => {
  const folder = temporaryFolder();
  let name: string;
  const native = ({ steps, guidance }: { steps: number; guidance: number }): Pixels => {
    const out = join(folder, "native.png");
    execFileSync(CLI, ["sample", "--class", name, "--seed", "1", "--steps", String(steps), "--guidance", String(guidance), "--sampler", "euler", "--device", "cpu", "--model", MODEL, "--out", out], { stdio: ["ignore", "ignore", "inherit"] });
    return decode(readFileSync(out));
  };

  beforeAll(() => {
    if (!existsSync(CLI)) throw new Error(`${CLI} is not built: \`cargo build --release -p maetok-cli\`, or set MAETOK_CLI`);
    name = (JSON.parse(readFileSync(join(MODEL, "manifest.json"), "utf8")) as { classes: { name: string }[] }).classes[4]!.name;
    const [plain, guided] = RUNS.cpu.map(native) as [Pixels, Pixels];
    expect(worstDifference(plain, guided), "guidance changes the picture").toBeGreaterThan(TOLERANCE);
  });

  it.each<[BrowserName, "cpu" | "webgpu"]>([
    ["chromium", "cpu"],
    ["firefox", "cpu"],
    ["chromium", "webgpu"],
    ["firefox", "webgpu"],
  ])(
    `%s on %s is within ${TOLERANCE}/255`,
    async (browserName, device) => {
      const server = await TestServer.start();
      const browser = await launch(browserName, folder);
      try {
        const studio = await Studio.open(browser, server.origin, folder, { query: `?device=${device}` });
        expect(await studio.text(".badge")).toMatch(device === "cpu" ? /^CPU$/ : /^WebGPU/);
        for (const run of RUNS[device]) {
          const facts = await studio.generate({ name, seed: "1", ...run }, PATIENCE);
          const picture = decode((await studio.saved("Save as PNG")).file);
          const difference = worstDifference(native(run), picture);
          console.log(`${browserName} ${device}, ${run.steps} steps, guidance ${run.guidance}: worst difference ${difference} of 255. ${facts}`);
          expect(difference).toBeLessThanOrEqual(TOLERANCE);
          expect(new Set(picture.rgb).size, "a picture, not a plain colour").toBeGreaterThan(10);
        }
        expect(studio.complaints).toEqual([]);
      } finally {
        await browser.close();
        await server.stop();
      }
    },
    PATIENCE + 60_000,
  );
});
