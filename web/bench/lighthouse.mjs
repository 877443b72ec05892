/**
 * Asks Lighthouse about the page that is served, and fails where a score is below 95: beside `cargo xtask demo`,
 *
 *     node bench/lighthouse.mjs http://127.0.0.1:8080/
 *
 * Lighthouse and its hundred packages are fetched by npx and are no dependency: nobody needs them to build the page. It
 * times a phone four times slower than this machine, so nothing else should run beside it.
 */

import { spawnSync } from "node:child_process";

const LIGHTHOUSE = "lighthouse@13.5.0";
const CATEGORIES = ["performance", "accessibility", "best-practices"];
const LEAST = 0.95;

const [url = "http://127.0.0.1:8080/"] = process.argv.slice(2);
let low = false;
for (const form of ["mobile", "desktop"]) {
  const asked = spawnSync(
    "npx",
    ["--yes", LIGHTHOUSE, url, "--quiet", "--output=json", `--only-categories=${CATEGORIES.join(",")}`, "--chrome-flags=--headless=new --no-sandbox", ...(form === "desktop" ? ["--preset=desktop"] : [])],
    { encoding: "utf8", maxBuffer: 2 ** 28, env: { CHROME_PATH: "/usr/bin/chromium", ...process.env }, stdio: ["ignore", "pipe", "inherit"] },
  );
  if (asked.status !== 0) {
    console.error(`Lighthouse did not come to an end: is ${url} served?`);
    process.exit(2);
  }
  const { categories, audits } = JSON.parse(asked.stdout);
  console.log(`${form}: ${CATEGORIES.map((name) => `${name} ${Math.round(100 * categories[name].score)}`).join(", ")}`);
  for (const { id, score, displayValue } of Object.values(audits)) if (score !== null && score < 0.9) console.log(`  ${id}: ${displayValue ?? score}`);
  low ||= CATEGORIES.some((name) => categories[name].score < LEAST);
}
process.exitCode = low ? 1 : 0;
