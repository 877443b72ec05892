/** The Content-Security-Policy that `cargo xtask` serves the page with, read from its source so that there is one text. */

import { readFileSync } from "node:fs";

const SOURCE = new URL("../../../crate/xtask/src/serve.rs", import.meta.url);

export function servedPolicy(): string {
  const rust = readFileSync(SOURCE, "utf8");
  const literal = /CONTENT_SECURITY_POLICY,\s*HeaderValue::from_static\(\s*"([^"]*)"/.exec(rust)?.[1];
  if (!literal) throw new Error(`${SOURCE.pathname} states no Content-Security-Policy where this test looks for it`);
  // A backslash at a line's end joins it with the next in Rust.
  return literal.replace(/\\\n\s*/g, "");
}
