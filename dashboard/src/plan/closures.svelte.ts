/** Streets and zones that a company drives around, and the one that is being drawn on the map. */
import { Later } from "../live/later.ts";
import { Newest } from "../live/newest.ts";
import type { LiveEvent } from "../live/protocol.ts";
import { explain, type Position, type Rest } from "../live/rest.ts";

/** `line`: the stretch of a street under it; `polygon`: a zone. */
export type ClosureKind = "line" | "polygon";

export type Profile = "car" | "van" | "truck" | "bike";

export interface ClosureShape {
  name: string;
  kind: ClosureKind;
  points: readonly Position[];
  /** Whom it holds up; none means all. */
  profiles: readonly Profile[];
  beginsAt: string | null;
  endsAt: string | null;
}

export interface Closure extends ClosureShape {
  id: string;
  version: number;
}

/** What is being drawn. */
export type Drawing = Pick<ClosureShape, "kind" | "points">;

const FEWEST_POINTS: Record<ClosureKind, number> = { line: 2, polygon: 3 };
const CHANGES = /^closure\./;
const PAUSE_MS = 300;
const AGAIN_MS = 5000; // after what did not work

export class Closures {
  drawing = $state.raw<Drawing | null>(null);
  fault = $state("");
  isBusy = $state(false);

  readonly #asked = new Newest();
  readonly #later: Later = new Later(() => void this.#look());
  #isOver = false;
  #all = $state.raw<readonly Closure[]>([]);

  readonly #over = $derived.by(() => {
    this.clock.tick; // they end without a word
    return this.#all.filter(isOver).length;
  });
  /** Those that are not over; the same list until one of them ends, since another repaints the whole map. */
  readonly current = $derived.by(() => {
    this.#over;
    return this.#all.filter((closure) => !isOver(closure));
  });
  /** Whether what is drawn is a street or a zone already. */
  readonly isWhole = $derived(this.drawing !== null && this.drawing.points.length >= FEWEST_POINTS[this.drawing.kind]);

  constructor(
    private readonly rest: Rest,
    private readonly clock: { readonly tick: number },
  ) {}

  /** Read them, once for all who ask in the same moment; tried again until they are there. */
  load(): void {
    this.#later.in(PAUSE_MS);
  }

  stop(): void {
    this.#isOver = true;
    this.#later.cancel();
    this.#asked.forget();
  }

  hear(events: readonly LiveEvent[]): void {
    if (events.some((event) => CHANGES.test(event.type))) this.load();
  }

  begin(kind: ClosureKind): void {
    [this.drawing, this.fault] = [{ kind, points: [] }, ""];
  }

  add(point: Position): void {
    if (this.drawing !== null) this.drawing = { ...this.drawing, points: [...this.drawing.points, point] };
  }

  /** Take the newest point away. */
  undo(): void {
    if (this.drawing !== null) this.drawing = { ...this.drawing, points: this.drawing.points.slice(0, -1) };
  }

  cancel(): void {
    this.drawing = null;
  }

  /** Close what is drawn. */
  async close(how: Pick<ClosureShape, "name" | "profiles" | "endsAt">): Promise<void> {
    const drawing = this.drawing;
    if (drawing === null) return;
    await this.#change(async () => {
      await this.rest.ask("POST", "closures", { ...drawing, ...how });
      if (this.drawing === drawing) this.drawing = null;
    });
  }

  /** Open a street or a zone again. */
  async open({ id, version }: Closure): Promise<void> {
    await this.#change(() => this.rest.ask("DELETE", `closures/${id}?version=${version}`));
  }

  async #change(work: () => Promise<unknown>): Promise<void> {
    [this.isBusy, this.fault] = [true, ""];
    try {
      await work();
    } catch (error) {
      this.fault = explain(error);
    }
    await this.#look(); // also after a refusal: somebody else may have been faster
    this.isBusy = false;
  }

  async #look(): Promise<void> {
    try {
      const found = await this.#asked.of(this.rest.all<Closure>("closures"));
      if (found !== undefined) this.#all = found;
    } catch {
      if (!this.#isOver) this.#later.in(AGAIN_MS);
    }
  }
}

function isOver({ endsAt }: ClosureShape): boolean {
  return endsAt !== null && Date.parse(endsAt) <= Date.now();
}
