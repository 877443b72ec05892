/** A picture from the camera: mirrored while it is looked at, as people know themselves, and not in the file. */

import { h } from "../../ui/dom.ts";
import { words } from "../../words/index.ts";
import { PageError } from "../../words/told.ts";

/** More than any model sees, and little enough for every camera. */
const WISH: MediaStreamConstraints = { video: { facingMode: "user", width: { ideal: 960 }, height: { ideal: 720 } } };

export interface Audience {
  take: (file: File) => void;
  fail: (error: PageError) => void;
  /** On when it begins to look, off when it has closed. */
  open: (on: boolean) => void;
}

export class Camera {
  readonly #audience: Audience;
  readonly #video = h("video", { muted: true, playsinline: true, "aria-label": words().reconstruct.camera.preview });
  readonly #shoot = h("button", { type: "button" }, words().reconstruct.camera.shoot);
  readonly element: HTMLElement;
  /** The look under way: whoever closes it makes another of it, and a stream that comes late is ended. */
  #look: { stream: MediaStream | null } | null = null;

  constructor(audience: Audience, signal: AbortSignal) {
    this.#audience = audience;
    this.element = h(
      "div",
      { class: "camera", hidden: true },
      this.#video,
      h("div", { class: "buttons" }, this.#shoot, h("button", { type: "button", class: "quiet", onclick: () => this.close() }, words().reconstruct.camera.close)),
    );
    this.#video.muted = true;
    this.#shoot.addEventListener("click", () => void this.#take());
    signal.addEventListener("abort", () => this.close(), { once: true });
  }

  async start(): Promise<void> {
    if (this.#look) return;
    const look = { stream: null as MediaStream | null };
    this.#look = look;
    this.#audience.open(true);
    try {
      // Missing on pages that are not from https or this machine.
      const stream = await (navigator.mediaDevices?.getUserMedia(WISH) ?? Promise.reject(new DOMException("", "SecurityError")));
      if (this.#look !== look) return stop(stream);
      look.stream = stream;
      for (const track of stream.getTracks()) track.addEventListener("ended", () => this.#look === look && this.#fail("AbortError"));
      this.element.hidden = false;
      this.#video.srcObject = stream;
      await this.#video.play();
      if (this.#look === look) this.#shoot.focus();
    } catch (thrown) {
      if (this.#look === look) this.#fail(thrown instanceof DOMException ? thrown.name : "");
    }
  }

  close(): void {
    if (!this.#look) return;
    stop(this.#look.stream);
    this.#look = null;
    this.#video.srcObject = null;
    this.element.hidden = true;
    this.#audience.open(false);
  }

  #fail(name: string): void {
    this.close();
    const text = words().reconstruct.camera;
    const kind = { NotAllowedError: "refused", NotFoundError: "missing", OverconstrainedError: "missing", SecurityError: "insecure", NotReadableError: "taken" }[name] ?? "failed";
    const [message, advice] = text.errors[kind as keyof typeof text.errors];
    this.#audience.fail(new PageError("camera", message!, advice!));
  }

  async #take(): Promise<void> {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!width || !height) return;
    const canvas = h("canvas", { width, height });
    canvas.getContext("2d")!.drawImage(this.#video, 0, 0);
    const file = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
    this.close();
    if (file) this.#audience.take(new File([file], `${words().reconstruct.camera.fileName}.png`, { type: "image/png" }));
  }
}

function stop(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
