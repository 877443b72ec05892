/** The original and, beside it, one of three: the reconstruction, the two under a wipe, the error. And what it is worth. */

import { duration, number } from "../../format.ts";
import type { Picture } from "../../protocol.ts";
import { bind } from "../../ui/bind.ts";
import { h } from "../../ui/dom.ts";
import { Frame } from "../../ui/frame.ts";
import { Segments } from "../../ui/segments.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import { countBits } from "./bits.ts";
import { type Cell, Cells, evenly } from "./cells.ts";
import { signed } from "./legend.ts";
import type { Shot } from "./live.ts";
import { SignedMap } from "./signed_map.ts";

export class Pictures {
  readonly #lab: Lab;
  readonly #before = new Frame(words().shell.noPicture);
  readonly #after = new Frame(words().shell.noPicture);
  readonly #wipe = h("canvas", { class: "picture wiped", role: "img" });
  readonly #error: SignedMap;
  readonly #views: Segments<"picture" | "wipe" | "error">;
  readonly #caption = h("figcaption");
  readonly #slider = h("input", { type: "range", min: 0, max: 100, step: 1, "aria-label": words().reconstruct.view.wipeSlider });
  readonly #pixel = h("p", { class: "hint pixel", "aria-live": "polite" });
  readonly #scores = h("dl", { class: "scores" });
  readonly #changes = h("p", { class: "changes" });
  readonly #reset: HTMLButtonElement;
  readonly #notices = h("ul", { class: "hint notices" });
  readonly element: HTMLElement;
  #shot: Shot | null = null;

  /** `veil` lies over the original; `save` is given a picture and the end of its file's name; `reset` takes back every change. */
  constructor(lab: Lab, veil: HTMLElement, task: HTMLElement, save: (picture: Picture, suffix: string) => void, reset: () => void) {
    this.#lab = lab;
    const { store, signal } = lab;
    const text = words().reconstruct;
    this.#error = new SignedMap(signal);
    const { canvas: errorCanvas } = this.#error.frame;
    this.#reset = h("button", { type: "button", class: "quiet", onclick: reset }, text.reset);
    const pixels = h("input", { type: "checkbox" });
    const button = (of: () => Picture | null, suffix: string, label: string) => {
      const press = () => {
        const picture = of();
        if (picture) save(picture, suffix);
      };
      return h("button", { type: "button", class: "quiet", onclick: press }, label);
    };
    this.#views = new Segments("reconstruct-view", text.view.label, { picture: text.reconstruction, wipe: text.view.wipe, error: text.view.error }, (view) => store.set({ reconstruct: { view } }), false);
    this.element = h(
      "div",
      { class: "pictures" },
      this.#views.element,
      h(
        "div",
        { class: "figures" },
        h("figure", {}, h("div", { class: "frame" }, this.#before.canvas, veil), h("figcaption", {}, text.original)),
        h("figure", {}, h("div", { class: "frame" }, this.#after.canvas, this.#wipe, errorCanvas), this.#caption),
      ),
      h("div", { class: "below" }, this.#slider, this.#error.legend.element, this.#pixel),
      task,
      h("div", { class: "findings" }, this.#scores, h("div", { class: "altered" }, this.#changes, this.#reset), this.#notices),
      h(
        "div",
        { class: "buttons" },
        button(() => this.#after.picture, "reconstruction", text.saveReconstruction),
        button(() => this.#before.picture, "original", text.saveOriginal),
        button(() => this.#error.picture(), "error", text.error.save),
        h("label", { class: "toggle" }, pixels, words().shell.pixels),
      ),
    );
    pixels.addEventListener("change", () => {
      this.#before.pixels = this.#after.pixels = this.#error.frame.pixels = pixels.checked;
      this.#wipe.classList.toggle("pixels", pixels.checked);
      this.#drawWipe();
    });
    bind(this.#slider, "reconstruct", "wipe", store, signal);
    this.#wipe.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#wipe.addEventListener("pointermove", (event) => event.buttons === 1 && this.#drag(event));
    errorCanvas.setAttribute("role", "application");
    const side = () => (this.#shot ? this.#shot.picture.width : 0);
    new Cells(errorCanvas, { grid: () => [side(), side()], at: (x, y) => evenly(x, y, side(), side()), moved: (cell) => this.#tellPixel(cell), pressed: () => {} });
    store.subscribe((state, before) => {
      if (state.reconstruct.view !== before.reconstruct.view) this.#turn();
      if (state.reconstruct.wipe !== before.reconstruct.wipe) this.#drawWipe();
    }, signal);
    this.#turn();
  }

  /** Returns what there is to say of it in one sentence. */
  show(shot: Shot): string {
    const before = this.#shot;
    this.#shot = shot;
    const text = words().reconstruct;
    if (before?.opened !== shot.opened) this.#before.show(shot.opened.square, text.originalCropped);
    this.#after.show(shot.picture, text.fromLatent);
    this.#error.show(shot.opened.square, shot.picture, text.error.map);
    this.#drawWipe();
    const { square, notices } = shot.opened;
    const score = (name: string, value: string, meaning: string) => h("div", {}, h("dt", {}, name), h("dd", {}, h("strong", {}, value), h("span", { class: "hint" }, meaning)));
    const decibels = `${Number.isFinite(shot.psnr) ? number(shot.psnr, 2) : "∞"} dB`;
    const likeness = number(shot.ssim, 3);
    this.#scores.replaceChildren(
      score(text.psnr, decibels, text.psnrMeaning),
      score(text.ssim, likeness, text.ssimMeaning),
      score(text.size, text.numbers(number(shot.latents.length)), text.sizeMeaning(number(square.width * square.height * 3), duration(shot.encoding + shot.decoding))),
    );
    const changes = changesOf(shot, this.#lab.store.get().reconstruct.noise);
    this.#changes.textContent = changes.length > 0 ? text.changed(changes.join(", ")) : text.unchanged;
    // Always there: what comes and goes above a slider would push it from under the finger.
    this.#changes.parentElement!.classList.toggle("altering", changes.length > 0);
    // Not `disabled`, which would take the focus away from who has just pressed it.
    this.#reset.setAttribute("aria-disabled", String(changes.length === 0));
    this.#notices.replaceChildren(...notices.map((notice) => h("li", {}, text.notice(notice))));
    return text.said(decibels, likeness);
  }

  #turn(): void {
    const { view } = this.#lab.store.get().reconstruct;
    const text = words().reconstruct;
    this.#views.select(view);
    this.#after.canvas.hidden = view !== "picture";
    this.#error.active = view === "error";
    this.#wipe.hidden = this.#slider.hidden = view !== "wipe";
    this.#error.frame.canvas.hidden = this.#error.legend.element.hidden = this.#pixel.hidden = view !== "error";
    this.#caption.textContent = { picture: text.reconstruction, wipe: text.view.wiped, error: text.error.caption }[view];
    this.#tellPixel(null);
    this.#drawWipe();
  }

  /** Left of the line the original, right of it the reconstruction. */
  #drawWipe(): void {
    const { wipe, view } = this.#lab.store.get().reconstruct;
    if (!this.#shot || view !== "wipe") return;
    const { canvas: before } = this.#before;
    const { width, height } = before;
    this.#wipe.width = width;
    this.#wipe.height = height;
    this.#wipe.setAttribute("aria-label", words().reconstruct.view.wipedTo(number(wipe)));
    const context = this.#wipe.getContext("2d")!;
    const at = Math.round((wipe / 100) * width);
    context.drawImage(this.#after.canvas, 0, 0, width, height);
    if (at > 0) context.drawImage(before, 0, 0, at, height, 0, 0, at, height);
    const line = Math.max(1, Math.round(width / 256));
    if (at > 0 && at < width) {
      context.fillStyle = "#fff";
      context.fillRect(at - line, 0, 2 * line, height);
      context.fillStyle = "#000";
      context.fillRect(at, 0, Math.max(1, line / 2), height);
    }
  }

  #drag(event: PointerEvent): void {
    const { left, width } = this.#wipe.getBoundingClientRect();
    this.#wipe.setPointerCapture(event.pointerId);
    const share = Math.round((100 * (event.clientX - left)) / width);
    this.#lab.store.set({ reconstruct: { wipe: Math.min(Math.max(share, 0), 100) } });
  }

  #tellPixel(cell: Cell | null): void {
    const text = words().reconstruct.error;
    if (!this.#shot || !cell) return void (this.#pixel.textContent = text.point);
    const { opened, picture } = this.#shot;
    const at = (cell.row * picture.width + cell.column) * 4;
    const [red, green, blue] = [0, 1, 2].map((c) => signed(picture.rgba[at + c]! - opened.square.rgba[at + c]!));
    this.#pixel.textContent = text.pixel(number(cell.column + 1), number(cell.row + 1), `${text.red} ${red}, ${text.green} ${green}, ${text.blue} ${blue}`);
  }
}

/** What keeps it from being the plain reconstruction, in a few words each. */
function changesOf({ hidden, edited }: Shot, noise: number): string[] {
  const text = words().reconstruct.changes;
  const changes: string[] = [];
  const patches = countBits(hidden);
  const tokens = countBits(edited.dropped);
  if (patches > 0) changes.push(text.hidden(number(patches), number(hidden.length)));
  if (tokens > 0) changes.push(text.dropped(number(tokens), number(edited.dropped.length)));
  if (edited.order.some((token, place) => token !== place)) changes.push(text.shuffled);
  if (noise > 0) changes.push(text.noise(number(noise, 2)));
  return changes;
}
