/** What hands do on the map: point, click, draw, pinch, turn the wheel. Told in pixels of the canvas. */

export interface Gestures {
  /** Null: the pointer has left. */
  hover(at: [number, number] | null): void;
  tap(at: [number, number]): void;
  drag(dx: number, dy: number): void;
  /** False: there is nothing to zoom, so the wheel scrolls the page. */
  zoom(at: [number, number], factor: number): boolean;
  /** Whether one finger moves the map; if not, it scrolls the page. */
  canDrag(): boolean;
}

/** A press that moves less than this is a click. */
const STILL = 6;

/** How much a turn of the wheel by one pixel enlarges. */
const WHEEL = 0.002;

/** Pixels of a line, for wheels that count in lines. */
const LINE = 16;

export function watch(canvas: HTMLCanvasElement, hands: Gestures): void {
  const pointers = new Map<number, [number, number]>();
  let moved = 0;
  let pinched = false;

  const place = ({ clientX, clientY }: MouseEvent): [number, number] => {
    const { left, top } = canvas.getBoundingClientRect();
    return [clientX - left, clientY - top];
  };
  const spread = () => {
    const [a, b] = [...pointers.values()] as [[number, number], [number, number]];
    return { middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] as [number, number], apart: Math.hypot(a[0] - b[0], a[1] - b[1]) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    if (pointers.size === 1) {
      moved = 0;
      pinched = false;
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") hands.hover(at);
      return;
    }
    if (pointers.size === 2) {
      const was = spread();
      pointers.set(event.pointerId, at);
      const is = spread();
      pinched = true;
      if (was.apart > 0) hands.zoom(is.middle, is.apart / was.apart);
      hands.drag(is.middle[0] - was.middle[0], is.middle[1] - was.middle[1]);
      return;
    }
    pointers.set(event.pointerId, at);
    moved += Math.hypot(at[0] - before[0], at[1] - before[1]);
    if (moved >= STILL && (event.pointerType !== "touch" || hands.canDrag())) hands.drag(at[0] - before[0], at[1] - before[1]);
  });
  const lift = (event: PointerEvent) => {
    if (!pointers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && moved < STILL && !pinched && pointers.size === 0) hands.tap(place(event));
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => hands.hover(null));
  // Two fingers are for the map wherever they are; one scrolls the page until there is somewhere to go on the map.
  canvas.addEventListener("touchmove", (event) => (event.touches.length > 1 || hands.canDrag()) && event.cancelable && event.preventDefault(), { passive: false });
  canvas.addEventListener(
    "wheel",
    (event) => {
      const delta = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1);
      if (hands.zoom(place(event), Math.exp(-delta * WHEEL))) event.preventDefault();
    },
    { passive: false },
  );
}
