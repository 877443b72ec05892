/**
 * A run to look at again: a slider over all its pictures, a film of them that scrolls, and a button that plays it. The film
 * is a list box, so arrow keys go through it; pictures may come in any order.
 */

import { number } from "../format.ts";
import type { Picture } from "../protocol.ts";
import { words } from "../words/index.ts";
import { h } from "./dom.ts";
import { paint } from "./frame.ts";

/** More little pictures than this a browser is slow with: of longer runs every second, third… is in the film. */
const MOST = 250;

/** Side of the little pictures in pixels, at most. */
const SIDE = 128;

/** Milliseconds that playing takes, and that one picture is seen at least and at most. */
const PLAY = 3000;
const SHORTEST = 40;
const LONGEST = 250;

export class Filmstrip {
  readonly #slider = h("input", { type: "range", id: "scrubber", min: 0, max: 0, step: 1, value: 0, "aria-describedby": "scrubber-help" });
  readonly #film = h("div", { class: "film", role: "listbox", tabindex: 0, "aria-label": words().shell.film.name, "aria-orientation": "horizontal" });
  readonly #play = h("button", { type: "button", class: "quiet play" });
  readonly #help = h("p", { class: "hint", id: "scrubber-help" });
  readonly element: HTMLElement;
  readonly #show: (index: number) => void;
  readonly #describe: (index: number) => string;
  readonly #frames = new Map<number, HTMLCanvasElement>();
  #count = 0;
  /** Every so manieth picture is in the film. */
  #stride = 1;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `show` is told which picture to look at; `describe` says what it is. */
  constructor(show: (index: number) => void, describe: (index: number) => string) {
    this.#show = show;
    this.#describe = describe;
    this.#slider.addEventListener("input", () => (this.pause(), this.#turn(this.#slider.valueAsNumber)));
    this.#film.addEventListener("click", (event) => {
      const index = (event.target as HTMLElement).dataset.index;
      if (index !== undefined) this.pause(), this.go(Number(index));
    });
    this.#film.addEventListener("keydown", (event) => this.#key(event));
    this.#play.addEventListener("click", () => (this.#timer === undefined ? this.#run() : this.pause()));
    this.element = h(
      "div",
      { class: "strip", hidden: true },
      this.#film,
      h("div", { class: "scrub" }, this.#play, h("label", { for: "scrubber" }, words().shell.strip.label), this.#slider),
      this.#help,
    );
    this.#label();
  }

  get index(): number {
    return this.#slider.valueAsNumber;
  }

  /** Empties it for a run of at most `most` pictures. */
  reset(most: number): void {
    this.pause();
    this.#frames.clear();
    this.#film.replaceChildren();
    this.#film.removeAttribute("aria-activedescendant");
    this.#count = 0;
    this.#stride = Math.ceil(most / MOST);
    this.#slider.max = this.#slider.value = "0";
    this.#help.textContent = "";
    this.element.hidden = true;
  }

  /** There are `count` pictures now. Whoever looks at the last one goes on to the new last one. True if so. */
  grow(count: number): boolean {
    const follows = this.#count === 0 || this.index === this.#count - 1;
    const frames: HTMLElement[] = [];
    for (let at = this.#count; at < count; at++) if (at % this.#stride === 0) frames.push(this.#frame(at));
    this.#film.append(...frames);
    this.#count = count;
    this.#slider.max = String(count - 1);
    this.element.hidden = count < 2;
    if (follows) this.#slider.value = String(count - 1);
    return follows;
  }

  /** The run is over: the last picture is in the film too, and all of them if it ended early. They may have to be painted anew. */
  end(): void {
    const last = this.#count - 1;
    const stride = Math.ceil(this.#count / MOST);
    if (stride < this.#stride) {
      this.#stride = stride;
      this.#frames.clear();
      this.#film.replaceChildren();
      for (let at = 0; at < this.#count; at += stride) this.#film.append(this.#frame(at));
    }
    if (last > 0 && !this.#frames.has(last)) this.#film.append(this.#frame(last));
    this.#help.textContent = this.#stride > 1 ? words().shell.film.every(number(this.#frames.size), number(this.#count)) : "";
    this.#mark();
  }

  /** Whether the film has a little picture at `index`. */
  has(index: number): boolean {
    return this.#frames.has(index);
  }

  /** The little picture at `index`, if the film has it. */
  paint(index: number, picture: Picture): void {
    const canvas = this.#frames.get(index);
    if (!canvas) return;
    if (picture.width <= SIDE) paint(canvas, picture);
    else {
      const whole = h("canvas");
      paint(whole, picture);
      canvas.width = SIDE;
      canvas.height = Math.round((SIDE * picture.height) / picture.width);
      const context = canvas.getContext("2d")!;
      context.imageSmoothingQuality = "high";
      context.drawImage(whole, 0, 0, canvas.width, canvas.height);
    }
    canvas.classList.remove("blank");
  }

  go(index: number): void {
    this.#slider.value = String(index);
    this.#turn(this.index);
  }

  pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#label();
  }

  #run(): void {
    if (this.index >= this.#count - 1) this.go(0);
    const pause = Math.min(Math.max(PLAY / this.#count, SHORTEST), LONGEST);
    this.#timer = setInterval(() => {
      this.go(this.index + 1);
      if (this.index >= this.#count - 1) this.pause();
    }, pause);
    this.#label();
  }

  #label(): void {
    const { play, pause } = words().shell.film;
    const plays = this.#timer !== undefined;
    this.#play.replaceChildren(h("span", { "aria-hidden": "true" }, plays ? "❚❚" : "▶"), ` ${plays ? pause : play}`);
  }

  #key(event: KeyboardEvent): void {
    const last = this.#count - 1;
    const to = { ArrowLeft: this.index - this.#stride, ArrowRight: this.index + this.#stride, Home: 0, End: last, PageUp: this.index - 8 * this.#stride, PageDown: this.index + 8 * this.#stride }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.pause();
    this.go(Math.min(Math.max(to, 0), last));
  }

  #turn(index: number): void {
    this.#mark();
    this.#show(index);
    this.#slider.setAttribute("aria-valuetext", this.#describe(index));
  }

  /** Marks the little picture that is looked at, or the one before it, and has it in view. */
  #mark(): void {
    const at = this.#frames.has(this.index) ? this.index : Math.floor(this.index / this.#stride) * this.#stride;
    for (const [index, frame] of this.#frames) if (frame.ariaSelected === "true" || index === at) frame.setAttribute("aria-selected", String(index === at));
    const frame = this.#frames.get(at);
    if (!frame) return;
    this.#film.setAttribute("aria-activedescendant", frame.id);
    // `scrollIntoView` would move the page too.
    const { offsetLeft, offsetWidth } = frame;
    const { scrollLeft, clientWidth } = this.#film;
    if (offsetLeft < scrollLeft || offsetLeft + offsetWidth > scrollLeft + clientWidth) this.#film.scrollLeft = offsetLeft - (clientWidth - offsetWidth) / 2;
  }

  #frame(at: number): HTMLCanvasElement {
    const canvas = h("canvas", { class: "blank", role: "option", id: `frame-${at}`, "data-index": at, "aria-selected": "false", "aria-label": this.#describe(at), width: 1, height: 1 });
    this.#frames.set(at, canvas);
    return canvas;
  }
}
