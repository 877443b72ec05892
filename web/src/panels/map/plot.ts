/**
 * The map itself: a canvas that is looked at, pointed at, drawn about and walked over with the arrow keys. It tells what
 * somebody does and is told what to show; settings are the panel's business.
 */

import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { fields } from "./fields.ts";
import { type Box, bounds, type Direction, nearestPoint, nextPoint, Transform, type View, withinReach, zoomAt } from "./geometry.ts";
import { watch } from "./gestures.ts";
import { drawFigures, drawGround, inkOf, type Scene } from "./scene.ts";

const MOST_ZOOM = 50;

/** A press of a key or a button. */
const ZOOM_STEP = 1.5;
const PAN_STEP = 60;

/** Of a frame, in milliseconds: so long may the points be drawn in one go. */
const FRAME = 12;

/** So far, in pixels, a point may be from where it is pointed at. */
const REACH = 18;

const ARROWS: Record<string, Direction> = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

export interface PlotListener {
  /** -1: no point. `byKey`: to be said, too. */
  hover(index: number, byKey: boolean): void;
  /** Chosen, by click, tap or keys; -1: nothing any more. */
  pick(index: number): void;
  view(view: View): void;
}

export class Plot {
  readonly canvas = h("canvas", { class: "plot", tabindex: 0, role: "application", "aria-label": words().map.plot, "aria-roledescription": words().map.plotRole, "aria-describedby": "map-keys" });
  readonly element: HTMLElement;
  readonly #tell: PlotListener;
  #scene: Scene;
  #box: Box;
  #view: View = { zoom: fields.zoom.fallback, x: fields.x.fallback, y: fields.y.fallback };
  #size = { width: 600, height: 450 };
  #drawn = 0;
  /** Thousands of points take a while: they are drawn here, and again only when they change. */
  readonly #ground = h("canvas");
  /** What is still to be drawn there; undefined: it has not been begun. */
  #painting: Iterator<void> | undefined;

  constructor(scene: Scene, tell: PlotListener, signal: AbortSignal) {
    this.#scene = scene;
    this.#box = bounds(scene.points);
    this.#tell = tell;
    const text = words().map;
    const button = (label: string, sign: string, act: () => void) => h("button", { type: "button", class: "quiet icon", title: label, "aria-label": label, onclick: act }, sign);
    this.element = h(
      "div",
      { class: "plot-frame" },
      this.canvas,
      h(
        "div",
        { class: "plot-buttons", role: "group", "aria-label": text.zoom },
        button(text.zoomIn, "+", () => this.#zoomFromMiddle(ZOOM_STEP)),
        button(text.zoomOut, "−", () => this.#zoomFromMiddle(1 / ZOOM_STEP)),
        button(text.zoomWhole, "⤢", () => this.#turn({ zoom: 1, x: 0, y: 0 })),
      ),
    );
    watch(this.canvas, {
      hover: (at) => this.#tell.hover(at ? this.#at(at) : -1, false),
      tap: (at) => this.#tell.pick(this.#at(at)),
      drag: (dx, dy) => this.#pan(dx, dy),
      zoom: (at, factor) => {
        const view = zoomAt(this.#view, this.#box, this.#size, at, factor, MOST_ZOOM);
        const turned = view.zoom !== this.#view.zoom;
        if (turned) this.#turn(view);
        return turned;
      },
      canDrag: () => this.#view.zoom > 1,
    });
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("blur", () => this.#tell.hover(-1, false));
    // Without a place on the page it has no size; it is measured when it gets one, and again when that changes.
    const resized = new ResizeObserver(() => this.#measure());
    resized.observe(this.canvas);
    signal.addEventListener("abort", () => resized.disconnect(), { once: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#repaint(), { signal });
  }

  /** Shows other points, from the beginning. */
  set points(points: Scene["points"]) {
    this.#scene = { ...this.#scene, points };
    this.#box = bounds(points);
    this.#repaint();
  }

  /** Changes what is drawn. */
  show(change: Partial<Omit<Scene, "points">>): void {
    this.#scene = { ...this.#scene, ...change };
    if (change.shown || change.bright) this.#repaint();
    else this.redraw();
  }

  set view(view: View) {
    const { zoom, x, y } = this.#view;
    this.#view = withinReach(view, this.#box, MOST_ZOOM);
    if (this.#view.zoom === zoom && this.#view.x === x && this.#view.y === y) return;
    this.canvas.classList.toggle("zoomed", this.#view.zoom > 1);
    this.#repaint();
  }

  /** Moves, if a place is out of sight, so that it is in the middle. */
  reveal(x: number, y: number): void {
    const [px, py] = this.#transform.toScreen(x, y);
    const edge = 24;
    if (px >= edge && py >= edge && px <= this.#size.width - edge && py <= this.#size.height - edge) return;
    const { left, right, bottom, top } = this.#box;
    this.#turn({ zoom: this.#view.zoom, x: x - (left + right) / 2, y: y - (bottom + top) / 2 });
  }

  /** Draws before the next frame, once, however much has changed. */
  redraw(): void {
    if (this.#drawn !== 0) return;
    this.#drawn = requestAnimationFrame(() => {
      this.#drawn = 0;
      this.#draw();
    });
  }

  #repaint(): void {
    this.#painting = undefined;
    this.redraw();
  }

  /** What is drawn, as a file. */
  async png(): Promise<Blob | null> {
    this.#draw(Infinity);
    return await new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }

  get #transform(): Transform {
    return new Transform(this.#box, this.#size, this.#view);
  }

  /** `budget`: milliseconds for the ground; what is left of it comes in the next frames. */
  #draw(budget = FRAME): void {
    const context = this.canvas.getContext("2d");
    const below = this.#ground.getContext("2d");
    if (!context || !below) return;
    const ink = inkOf(this.canvas);
    const transform = this.#transform;
    const ratio = this.canvas.width / this.#size.width;
    if (!this.#painting) {
      [this.#ground.width, this.#ground.height] = [this.canvas.width, this.canvas.height];
      below.setTransform(ratio, 0, 0, ratio, 0, 0);
      this.#painting = drawGround(below, this.#size, transform, this.#scene, ink);
    }
    const began = performance.now();
    let done = false;
    while (!done && performance.now() - began < budget) done = this.#painting.next().done === true;
    if (!done) this.redraw();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(this.#ground, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawFigures(context, this.#size, transform, this.#scene, ink);
  }

  #measure(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    this.#size = { width, height };
    const ratio = Math.min(3, devicePixelRatio || 1);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.#painting = undefined;
    this.#draw();
  }

  /** The point at a pixel, if one is near. */
  #at(at: [number, number]): number {
    const transform = this.#transform;
    const usable = (index: number) => this.#scene.shown(index) && this.#scene.bright(index);
    return nearestPoint(this.#scene.points, transform.toMap(...at), REACH / transform.scale, usable);
  }

  #turn(view: View): void {
    this.view = view;
    this.#tell.view(this.#view);
  }

  #pan(dx: number, dy: number): void {
    const { scale } = this.#transform;
    const { zoom, x, y } = this.#view;
    this.#turn({ zoom, x: x - dx / scale, y: y + dy / scale });
  }

  /** Around the point that is chosen or pointed at: so the buttons alone lead anywhere. */
  #zoomFromMiddle(factor: number): void {
    const { focus } = this.#scene;
    const { left, right, bottom, top } = this.#box;
    const view = factor > 1 && focus ? { zoom: Math.max(this.#view.zoom, 1.0001), x: focus[0] - (left + right) / 2, y: focus[1] - (bottom + top) / 2 } : this.#view;
    this.#turn(zoomAt(view, this.#box, this.#size, [this.#size.width / 2, this.#size.height / 2], factor, MOST_ZOOM));
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    if (direction) {
      if (event.shiftKey) this.#pan({ left: PAN_STEP, right: -PAN_STEP }[direction as string] ?? 0, { up: PAN_STEP, down: -PAN_STEP }[direction as string] ?? 0);
      else this.#walk(direction);
    } else if (event.key === "+" || event.key === "=") this.#zoomFromMiddle(ZOOM_STEP);
    else if (event.key === "-" || event.key === "_") this.#zoomFromMiddle(1 / ZOOM_STEP);
    else if (event.key === "0") this.#turn({ zoom: 1, x: 0, y: 0 });
    else if (event.key === "Enter" || event.key === " ") this.#tell.pick(this.#scene.hovered);
    else if (event.key === "Escape") {
      this.#tell.hover(-1, true);
      this.#tell.pick(-1);
    } else return;
    event.preventDefault();
  }

  /** To the next point, or from nowhere to the one nearest the middle. */
  #walk(direction: Direction): void {
    const { points, hovered } = this.#scene;
    const usable = (index: number) => this.#scene.shown(index) && this.#scene.bright(index);
    const middle = this.#scene.focus ?? this.#transform.toMap(this.#size.width / 2, this.#size.height / 2);
    const next = hovered < 0 ? nearestPoint(points, middle, Infinity, usable) : nextPoint(points, hovered, direction, usable);
    if (next < 0) return;
    this.reveal(points.x[next]!, points.y[next]!);
    this.#tell.hover(next, true);
  }
}
