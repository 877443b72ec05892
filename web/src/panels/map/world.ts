/** The map once it is there: its points, what is chosen among them, a picture of one's own and a run. */

import { number } from "../../format.ts";
import type { Latents, Picture } from "../../protocol.ts";
import { h } from "../../ui/dom.ts";
import { paint } from "../../ui/frame.ts";
import { words } from "../../words/index.ts";
import type { Lab } from "../panel.ts";
import type { MapData } from "./data.ts";
import type { Film } from "./film.ts";
import { at, type Focus, latentOf, neighboursOf, type Own, pictureOf, placeOf, pointAt, rowOf } from "./focus.ts";
import { columns } from "./geometry.ts";
import { type ClassFigures, classFigures, distance } from "./latents.ts";
import { Legend } from "./legend.ts";
import { looks } from "./palette.ts";
import { Plot } from "./plot.ts";
import type { Projection } from "./projection.ts";
import { Readout } from "./readout.ts";
import { ClassTable } from "./table.ts";
import { Thumbnails } from "./thumbnails.ts";
import { Toolbar } from "./toolbar.ts";

export class World {
  readonly element: HTMLElement;
  readonly #lab: Lab;
  readonly #data: MapData;
  readonly #projection: Projection;
  readonly #toolbar: Toolbar;
  readonly #plot: Plot;
  readonly #legend: Legend;
  readonly #readout: Readout;
  readonly #table = new ClassTable();
  readonly #caption = h("p", { class: "caption map-caption" });
  #figures: ClassFigures[] | null = null;
  readonly #labels: string[];
  readonly #counts: HTMLSelectElement;
  #focus: Focus = { kind: "none" };
  #own: Own | null = null;
  #film: Film | null = null;
  #at = 0;
  #hovered = -1;
  /** A frame in which the readout is to be written. */
  #described = 0;
  readonly #thumbnails: Thumbnails;
  readonly #portrait = h("canvas", { class: "thumbnail", "aria-hidden": "true" });
  /** Which points are drawn, and how. */
  #selection = "";
  /** The view comes from the map itself at this moment. */
  #turning = false;

  /** `below`: what is put under the map; `beside`: what comes after the chosen. */
  constructor(lab: Lab, data: MapData, projection: Projection, below: HTMLElement, beside: HTMLElement) {
    this.#lab = lab;
    this.#data = data;
    this.#projection = projection;
    this.#thumbnails = new Thumbnails(data);
    const { store, signal, model } = lab;
    const text = words().map;
    this.#labels = model.classes.map((entry) => words().generate.label(entry.label));
    this.#toolbar = new Toolbar(projection.shares, store, signal);
    const look = looks(model.classes);
    this.#legend = new Legend(model.classes, look, (name) => store.set({ map: { highlight: name } }), signal);
    this.#counts = h("select", { id: "map-count" }, ...[3, 6, 12, 24].map((count) => h("option", { value: count }, number(count))));
    this.#readout = new Readout(h("label", { class: "count", for: "map-count" }, text.count, " ", this.#counts), (index) => this.choose(index));
    this.#counts.addEventListener("change", () => store.set({ map: { neighbours: Number(this.#counts.value) } }));
    this.#plot = new Plot(
      {
        points: this.#points(),
        classes: data.classes,
        heldOut: data.heldOut,
        looks: look,
        shown: () => true,
        bright: () => true,
        pictures: data.pictures,
        sprite: data.sprite,
        hovered: -1,
        label: "",
        focus: null,
        links: [],
        own: null,
        lines: [],
      },
      {
        hover: (index, byKey) => this.#hover(index, byKey),
        pick: (index) => (index < 0 ? this.#look({ kind: "none" }) : this.choose(index)),
        view: (view) => {
          this.#turning = true;
          store.set({ map: view }, { undoable: false });
          this.#turning = false;
        },
      },
      signal,
    );
    this.element = h(
      "div",
      { class: "world" },
      this.#toolbar.element,
      h(
        "div",
        { class: "map-columns" },
        h("div", { class: "map-main" }, this.#plot.element, this.#caption, below),
        h("div", { class: "map-side" }, this.#readout.element, beside),
        h("div", { class: "map-legend" }, this.#legend.element, h("p", { class: "hint" }, text.marks), h("p", { class: "hint", id: "map-keys" }, text.keys)),
      ),
      this.#table.element,
    );
    store.subscribe((state, before) => {
      if (state.map === before.map) return;
      if (state.map.across !== before.map.across || state.map.up !== before.map.up) this.#turnAxes();
      this.#show();
    }, signal);
    this.#table.element.addEventListener("toggle", () => this.#table.element.open && this.#tabulate());
    this.#turnAxes();
    this.#show();
    this.#caption.textContent = text.ready(number(data.count));
  }

  /** What has to wait until it is on the page. */
  placed(): void {
    this.#legend.paint();
    this.#plot.redraw();
  }

  get width(): number {
    return this.#data.width;
  }

  get projection(): Projection {
    return this.#projection;
  }

  /** In standard deviations of the training pictures' numbers. */
  standardise(latents: Latents): Float32Array {
    const { latentMean, latentStd } = this.#lab.model;
    return latents.map((value) => (value - latentMean) / latentStd);
  }

  /** Chooses one of the map's pictures. */
  choose(index: number): void {
    this.#look({ kind: "point", index }, true);
  }

  showOwn(name: string, picture: Picture, latents: Latents): void {
    const latent = this.standardise(latents);
    this.#own = { name, picture, latent, place: this.#projection.project(latent) };
    this.#look({ kind: "own", own: this.#own }, true);
  }

  /** Shows a run as it stands after one of its steps. */
  showRun(film: Film, at: number): void {
    this.#film = film;
    this.#at = at;
    const stop = film.stops[at];
    if (stop) this.#look({ kind: "run", film, stop });
  }

  /** The map as it is seen. */
  png(): Promise<Blob | null> {
    return this.#plot.png();
  }

  /** The picture that is chosen, if it is one of one's own or of a run, and a name for its file. */
  get picture(): { picture: Picture; name: string } | null {
    return pictureOf(this.#focus);
  }

  /** What it is called that lies nearest to what is chosen. */
  get nearest(): string {
    const [first] = this.#neighbours(1);
    return first ? this.#labels[this.#data.classes[first.index]!]! : "";
  }

  #points() {
    const { across, up } = this.#toolbar.axes;
    return columns(this.#projection.codes, this.#projection.axes, across, up);
  }

  #turnAxes(): void {
    this.#plot.points = this.#points();
    if (this.#table.element.open) this.#tabulate();
  }

  /** Reckons what the table says, when somebody wants to read it. */
  #tabulate(): void {
    const { across, up } = this.#toolbar.axes;
    const { values, width, classes, heldOut } = this.#data;
    this.#figures ??= classFigures(values, width, classes, heldOut);
    this.#table.show(this.#figures, this.#lab.model.classes, this.#projection, across, up);
  }

  /** Draws what the settings say. */
  #show(): void {
    const { pictures, highlight, path, zoom, x, y, neighbours } = this.#lab.store.get().map;
    const { classes, heldOut } = this.#data;
    const { across, up } = this.#toolbar.axes;
    const alone = this.#lab.model.classes.findIndex(({ name }) => name === highlight && name !== "");
    this.#legend.choose(alone < 0 ? "" : highlight);
    this.#counts.value = String([3, 6, 12, 24].find((count) => count >= neighbours) ?? 24);
    if (!this.#turning) this.#plot.view = { zoom, x, y };
    const selection = `${pictures} ${alone}`;
    if (this.#selection !== selection) {
      this.#selection = selection;
      this.#plot.show({
        shown: (index) => pictures === "all" || (heldOut[index] === 1) === (pictures === "held-out"),
        bright: (index) => alone < 0 || classes[index] === alone,
      });
    }
    this.#plot.show({
      own: this.#own && at(this.#own.place, across, up),
      lines: (["state", "clean"] as const)
        .filter((kind) => this.#film && (path === "both" || path === kind))
        .map((kind) => ({ kind, at: this.#at, places: this.#film!.stops.map((stop) => at(kind === "clean" ? stop.cleanPlace : stop.statePlace, across, up)) })),
    });
    if (this.#turning) return;
    // Steps of a run come faster than frames: what nobody can see is not made.
    if (this.#focus.kind !== "run") this.#describe();
    else if (this.#described === 0) this.#described = requestAnimationFrame(() => this.#describe());
  }

  #look(focus: Focus, aloud = false): void {
    this.#focus = focus;
    this.#show();
    const place = this.#place();
    if (place && focus.kind !== "run") this.#plot.reveal(...place);
    if (aloud && focus.kind !== "none") {
      const named = this.#neighbours(3).map(({ index, distance }) => `${this.#name(index)}, ${number(distance, 2)} σ`);
      this.#lab.say(words().map.nearest(this.#title(), named.join("; ")));
    }
  }

  /** Where what is chosen lies. */
  #place() {
    const { across, up } = this.#toolbar.axes;
    return placeOf(this.#focus, this.#projection, across, up);
  }

  #pointAt(index: number) {
    const { across, up } = this.#toolbar.axes;
    return pointAt(this.#projection, index, across, up);
  }

  #neighbours(count: number) {
    return neighboursOf(this.#focus, this.#data, count);
  }

  #title(): string {
    const text = words().map;
    const focus = this.#focus;
    switch (focus.kind) {
      case "none":
        return "";
      case "point":
        return this.#name(focus.index);
      case "own":
        return text.ownNamed(focus.own.name);
      case "run":
        return text.runNamed(focus.film.label, focus.film.seed);
    }
  }

  /** Fills the readout, and draws the lines to the neighbours. */
  #describe(): void {
    cancelAnimationFrame(this.#described);
    this.#described = 0;
    const place = this.#place();
    const focus = this.#focus;
    if (!place || focus.kind === "none") {
      this.#readout.clear();
      this.#plot.show({ focus: null, links: [] });
      return;
    }
    const text = words().map;
    const { heldOut } = this.#data;
    const { across, up } = this.#toolbar.axes;
    const found = this.#neighbours(Number(this.#counts.value));
    this.#plot.show({ focus: place, links: found.map(({ index }) => this.#pointAt(index)) });
    const facts = [text.at(number(across + 1), number(place[0], 2), number(up + 1), number(place[1], 2))];
    if (focus.kind === "point") facts.unshift(heldOut[focus.index] === 1 ? text.neverSeen : text.learnt);
    if (focus.kind === "run") facts.unshift(`${text.step(number(focus.stop.index), number(focus.stop.of))}.`);
    const own = focus.kind === "own" ? focus.own.picture : focus.kind === "run" ? focus.stop.picture : null;
    if (own) paint(this.#portrait, own);
    const picture = focus.kind === "point" ? this.#thumbnails.draw(focus.index) : own && this.#portrait;
    this.#readout.show({
      picture,
      title: focus.kind === "point" ? this.#labelOf(focus.index) : this.#title(),
      facts: facts.join(" "),
      neighbours: found.map((neighbour) => ({ neighbour, picture: this.#thumbnails.listed(neighbour.index), label: this.#labelOf(neighbour.index), heldOut: heldOut[neighbour.index] === 1 })),
    });
  }

  #hover(index: number, byKey: boolean): void {
    if (index === this.#hovered) return;
    this.#hovered = index;
    this.#plot.show({ hovered: index, label: index < 0 ? "" : this.#labelOf(index) });
    const text = words().map;
    if (index < 0) {
      this.#caption.textContent = text.ready(number(this.#data.count));
      return;
    }
    const { across, up } = this.#toolbar.axes;
    const [x, y] = this.#pointAt(index);
    let sentence = text.here(this.#name(index), number(across + 1), number(x, 2), number(up + 1), number(y, 2));
    const chosen = latentOf(this.#focus, this.#data);
    if (chosen && !(this.#focus.kind === "point" && this.#focus.index === index)) {
      const from = { own: text.fromOwn, run: text.fromRun, point: text.fromChosen, none: "" }[this.#focus.kind];
      sentence += `; ${text.away(number(distance(chosen, rowOf(this.#data, index)), 2), from)}`;
    }
    this.#caption.textContent = `${sentence}.`;
    if (byKey) this.#lab.say(`${sentence}.`);
  }

  #labelOf(index: number): string {
    return this.#labels[this.#data.classes[index]!]!;
  }

  #name(index: number): string {
    const label = this.#labelOf(index);
    return this.#data.heldOut[index] === 1 ? words().map.labelHeldOut(label) : label;
  }
}
