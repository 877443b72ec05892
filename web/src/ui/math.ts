/**
 * Formulas as MathML, which browsers set and read aloud by themselves:
 * `formula(sub("x", "t"), "=", "(", "1", "−", "t", ")", "x", "+", "t", "ε")`.
 */

const MATHML = "http://www.w3.org/1998/Math/MathML";

/** A letter, a number or an operator, or something made of these. */
export type Term = string | Element;

/** A formula on a line of its own. */
export function formula(...terms: Term[]): Element {
  const math = element("math", ...terms.map(atom));
  math.setAttribute("display", "block");
  // Where it is wider than its place it scrolls, and the arrow keys should do it too.
  new ResizeObserver(() => {
    if (math.scrollWidth > math.clientWidth) math.setAttribute("tabindex", "0");
    else math.removeAttribute("tabindex");
  }).observe(math);
  return math;
}

/** x with an index below. */
export function sub(base: Term, below: Term): Element {
  return element("msub", atom(base), atom(below));
}

/** x with an exponent. */
export function sup(base: Term, above: Term): Element {
  return element("msup", atom(base), atom(above));
}

/** x with a hat: a guess at x. */
export function hat(base: Term): Element {
  return element("mover", atom(base), element("mo", "^"));
}

export function fraction(above: Term, below: Term): Element {
  return element("mfrac", atom(above), atom(below));
}

/** A square root. */
export function root(...terms: Term[]): Element {
  return element("msqrt", ...terms.map(atom));
}

/** Several terms where one is expected. */
export function row(...terms: Term[]): Element {
  return element("mrow", ...terms.map(atom));
}

function atom(term: Term): Element {
  if (typeof term !== "string") return term;
  if (/^[\d.,]+$/.test(term)) return element("mn", term);
  // Several letters are one name, and upright by MathML's own rule.
  return element(/^[\p{L}ℝ∅]+$/u.test(term) ? "mi" : "mo", term);
}

function element(name: string, ...children: (string | Element)[]): Element {
  const made = document.createElementNS(MATHML, name);
  made.append(...children);
  return made;
}
