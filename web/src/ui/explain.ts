/** “What am I seeing?”: a short account with the formula and where it comes from, folded away until somebody asks. */

import { words } from "../words/index.ts";
import { h } from "./dom.ts";

type Part = string | Element;

/** `explain(words().explain.title, "First…", [formula(…)], ["See ", paper(…)])`: a paragraph each. */
export function explain(title: string, ...paragraphs: (string | Part[])[]): HTMLDetailsElement {
  return h(
    "details",
    { class: "explain" },
    h("summary", {}, title),
    // Not `p`: a formula in it would stand outside.
    h("div", { class: "inner" }, ...paragraphs.map((parts) => h("div", { class: "paragraph" }, ...(typeof parts === "string" ? [parts] : parts)))),
  );
}

/** `Chen et al. 2025, MAETok, section 3, arXiv 2502.03444`, with its address. */
export function paper(name: string, arxiv: string, section?: string): HTMLElement {
  const place = section === undefined ? "" : `, ${words().explain.section(section)}`;
  return h("span", {}, `${name}${place}, `, h("a", { href: `https://arxiv.org/abs/${arxiv}`, rel: "noreferrer" }, `arXiv ${arxiv}`));
}
