/** The page's own Content-Security-Policy against the one it is served with. */

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { servedPolicy } from "../browser/policy.ts";

/** Directives that browsers read in a header only. */
const HEADER_ONLY = ["frame-ancestors"];

const directives = (policy: string) => new Map(policy.split(";").map((part) => part.trim()).filter(Boolean).map((part) => [part.split(" ")[0]!, part]));

it("the page's own policy is the served one, less what the page does not need", () => {
  const html = readFileSync(new URL("../../index.html", import.meta.url), "utf8");
  const own = directives(/http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(html)![1]!);
  const served = directives(servedPolicy());
  for (const name of HEADER_ONLY) served.delete(name);
  // What is not named is as `default-src`, which is nothing.
  expect([...own.values()].sort()).toEqual([...served.values()].filter((part) => own.has(part.split(" ")[0]!)).sort());
  expect([...served.keys()].filter((name) => !own.has(name)).sort()).toEqual(["font-src"]);
});
