/**
 * A canvas of cells that can be pointed at, painted on and walked through with the arrow keys. It knows nothing of what is
 * drawn: whoever owns the canvas says which cell lies where.
 */

export interface Cell {
  column: number;
  row: number;
}

export interface Wishes {
  /** Columns and rows at the moment; 0 if there is nothing. */
  grid: () => [columns: number, rows: number];
  /** The cell at a point, in fractions of the canvas. */
  at: (x: number, y: number) => Cell | null;
  /** The cell that is pointed at or walked to; none any more. */
  moved: (cell: Cell | null) => void;
  /** Space or Enter, or a click where nothing is painted. */
  pressed: (cell: Cell, by: "key" | "mouse" | "touch") => void;
  /** A stroke of the brush: a click is one of one cell. */
  painted?: (cell: Cell, first: boolean) => void;
}

export class Cells {
  readonly #canvas: HTMLCanvasElement;
  readonly #wishes: Wishes;
  /** Where the keys stand. */
  #cursor: Cell = { column: 0, row: 0 };
  /** The last cell of the stroke under way; `begun`: whether anything is painted yet. */
  #stroke: { last: Cell; begun: boolean } | null = null;

  constructor(canvas: HTMLCanvasElement, wishes: Wishes) {
    this.#canvas = canvas;
    this.#wishes = wishes;
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.focused && this.#walk(this.#cursor));
    canvas.addEventListener("blur", () => wishes.moved(null));
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", () => (this.#stroke = null));
    canvas.addEventListener("pointerleave", () => {
      if (!this.#stroke) wishes.moved(this.focused ? this.#cursor : null);
    });
  }

  /** The keyboard is in it, not only the pointer. */
  get focused(): boolean {
    return this.#canvas.matches(":focus-visible");
  }

  get cursor(): Cell {
    return this.#cursor;
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const [columns, rows] = this.#wishes.grid();
    if (columns * rows === 0) return;
    const { column, row } = this.#cursor;
    const far = event.shiftKey ? 8 : 1;
    const to: Cell | undefined = {
      ArrowLeft: { column: column - far, row },
      ArrowRight: { column: column + far, row },
      ArrowUp: { column, row: row - far },
      ArrowDown: { column, row: row + far },
      Home: { column: 0, row },
      End: { column: columns - 1, row },
      PageUp: { column, row: 0 },
      PageDown: { column, row: rows - 1 },
    }[event.key];
    if (to) this.#walk(to);
    else if (event.key === " " || event.key === "Enter") this.#wishes.pressed(this.#cursor, "key");
    else return;
    event.preventDefault();
  }

  #walk({ column, row }: Cell): void {
    const [columns, rows] = this.#wishes.grid();
    if (columns * rows === 0) return;
    this.#cursor = { column: Math.min(Math.max(column, 0), columns - 1), row: Math.min(Math.max(row, 0), rows - 1) };
    this.#wishes.moved(this.#cursor);
  }

  #at(event: PointerEvent): Cell | null {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return this.#wishes.at((event.clientX - left) / width, (event.clientY - top) / height);
  }

  #down(event: PointerEvent): void {
    const cell = this.#at(event);
    if (event.button !== 0 || !cell) return;
    this.#cursor = cell;
    this.#stroke = { last: cell, begun: false };
    if (!this.#wishes.painted) return;
    this.#canvas.setPointerCapture(event.pointerId);
    // A finger may be about to scroll: it paints when it is lifted, or has moved without scrolling.
    if (event.pointerType !== "touch") this.#paint(cell);
  }

  #move(event: PointerEvent): void {
    const cell = this.#at(event);
    if (cell) this.#wishes.moved(cell);
    if (!cell || !this.#stroke || !this.#wishes.painted) return;
    const { last } = this.#stroke;
    if (cell.column !== last.column || cell.row !== last.row) this.#paint(cell);
  }

  #up(event: PointerEvent): void {
    const stroke = this.#stroke;
    if (!stroke) return;
    if (this.#wishes.painted && !stroke.begun) this.#paint(stroke.last);
    this.#stroke = null;
    if (this.#wishes.painted) return;
    const cell = this.#at(event);
    if (cell) this.#wishes.pressed(cell, event.pointerType === "touch" ? "touch" : "mouse");
  }

  /** Paints from where the stroke is to `cell`: a fast pointer leaves cells out. */
  #paint(cell: Cell): void {
    const stroke = this.#stroke!;
    const { last } = stroke;
    const steps = Math.max(1, Math.abs(cell.column - last.column), Math.abs(cell.row - last.row));
    for (let i = stroke.begun ? 1 : 0; i <= steps; i++) {
      const at = (from: number, to: number) => Math.round(from + ((to - from) * i) / steps);
      this.#wishes.painted!({ column: at(last.column, cell.column), row: at(last.row, cell.row) }, !stroke.begun);
      stroke.begun = true;
    }
    stroke.last = cell;
  }
}

/** The cell of an even grid at a point, in fractions of the whole. */
export function evenly(x: number, y: number, columns: number, rows: number): Cell | null {
  if (columns * rows === 0) return null;
  const index = (at: number, count: number) => Math.min(Math.max(Math.floor(at * count), 0), count - 1);
  return { column: index(x, columns), row: index(y, rows) };
}
