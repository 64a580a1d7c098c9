/** Does something a moment later, once for all who want it meanwhile. */
export class Later {
  #timer = 0;
  #due = Infinity;

  constructor(private readonly work: () => void) {}

  /** Do it after a pause; what is due sooner stays, so that a swarm of wishes puts nothing off. */
  in(pauseMs: number): void {
    const due = Date.now() + pauseMs;
    if (due >= this.#due) return;
    window.clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = window.setTimeout(() => {
      this.#due = Infinity;
      this.work();
    }, pauseMs);
  }

  cancel(): void {
    window.clearTimeout(this.#timer);
    this.#due = Infinity;
  }
}
