/** Of several requests that follow each other faster than they can be answered, as of a slider that is drawn, only the newest counts. */

export class Latest<T> {
  readonly #work: (wish: T) => Promise<void>;
  #waiting: { wish: T } | null = null;
  #running: Promise<void> | null = null;

  /** `work` answers one; it is never under way twice. */
  constructor(work: (wish: T) => Promise<void>) {
    this.#work = work;
  }

  /** Asks for `wish` in place of what waits. Resolves when nothing waits any more. */
  ask(wish: T): Promise<void> {
    this.#waiting = { wish };
    this.#running ??= this.#go().finally(() => (this.#running = null));
    return this.#running;
  }

  /** Forgets what waits; what is under way goes on. */
  drop(): void {
    this.#waiting = null;
  }

  async #go(): Promise<void> {
    while (this.#waiting) {
      const { wish } = this.#waiting;
      this.#waiting = null;
      await this.#work(wish);
    }
  }
}
