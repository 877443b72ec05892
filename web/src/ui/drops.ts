/** Pictures dropped or pasted anywhere on the page: one that falls beside the box would otherwise replace the page. */

export interface Receiver {
  /** A file is held over the page, or no longer. */
  over: (on: boolean) => void;
  take: (file: File) => void;
  /** Something else was dropped: a link, a picture of a page. */
  refuse: () => void;
}

/** Listens until `signal` is aborted. */
export function receiveDrops({ over, take, refuse }: Receiver, signal: AbortSignal): void {
  const listen = <K extends "dragover" | "dragleave" | "drop" | "paste">(type: K, listener: (event: DocumentEventMap[K]) => void) =>
    document.addEventListener(type, listener, { signal });

  listen("dragover", (event) => {
    if (isText(event)) return;
    event.preventDefault();
    over(holdsFiles(event));
  });
  listen("dragleave", (event) => {
    if (event.relatedTarget === null) over(false);
  });
  listen("drop", (event) => {
    over(false);
    if (isText(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
    else refuse();
  });
  listen("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (!file) return;
    event.preventDefault();
    take(file);
  });
}

function holdsFiles({ dataTransfer }: DragEvent): boolean {
  return dataTransfer?.types.includes("Files") ?? false;
}

/** Words on their way into a field, which are the browser's business. */
function isText(event: DragEvent): boolean {
  return !holdsFiles(event) && event.target instanceof Element && event.target.matches("input[type=text], input[type=number]");
}
