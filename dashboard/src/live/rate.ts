/** Small running figures for the header. */

/** Counts how often something happened in the last whole second. */
export class Rate {
  #count = 0;

  add(): void {
    this.#count += 1;
  }

  /** Return the count since the last call. */
  take(): number {
    const count = this.#count;
    this.#count = 0;
    return count;
  }
}

/** Median of the last samples. */
export class Median {
  readonly #samples: number[] = [];

  constructor(private readonly kept: number) {}

  add(sample: number): void {
    this.#samples.push(sample);
    if (this.#samples.length > this.kept) this.#samples.splice(0, this.#samples.length - this.kept);
  }

  get value(): number | null {
    if (this.#samples.length === 0) return null;
    const sorted = [...this.#samples].sort((a, b) => a - b);
    return sorted[sorted.length >> 1] ?? null;
  }
}
