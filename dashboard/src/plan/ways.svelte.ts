/** The ways of routes on the roads, as the map draws them. */
import { Later } from "../live/later.ts";
import type { Planning, Route } from "./planning.ts";
import { decodeLine } from "./polyline.ts";

const AT_ONCE = 4;
const SHOW_PAUSE_MS = 200; // the map draws all routes anew: not for each that comes
const AGAIN_MS = 3000;

export class Ways {
  /** The way of each route as [longitude, latitude] pairs. */
  lines = $state.raw<ReadonlyMap<string, [number, number][]>>(new Map());

  readonly #found = new Map<string, [number, number][]>();
  readonly #drawn = new Map<string, number>(); // route → version that was asked for
  readonly #show = new Later(() => (this.lines = new Map(this.#found)));
  readonly #again = new Later(() => void this.#read());
  #routes: readonly Route[] = [];

  constructor(private readonly planning: Planning) {}

  /** Find the ways of these routes, and forget all others. */
  take(routes: readonly Route[]): void {
    this.#routes = routes;
    const known = new Set(routes.map((route) => route.id));
    for (const id of [...this.#drawn.keys()]) {
      if (known.has(id)) continue;
      this.#drawn.delete(id);
      if (this.#found.delete(id)) this.#show.in(SHOW_PAUSE_MS);
    }
    void this.#read();
  }

  stop(): void {
    this.#routes = [];
    this.#show.cancel();
    this.#again.cancel();
  }

  async #read(): Promise<void> {
    const missing = this.#routes.filter((route) => this.#drawn.get(route.id) !== route.version);
    for (const route of missing) this.#drawn.set(route.id, route.version);
    const readNext = async (): Promise<void> => {
      for (let route = missing.shift(); route !== undefined; route = missing.shift()) await this.#readOne(route);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, readNext));
  }

  async #readOne({ id, version }: Route): Promise<void> {
    if (this.#drawn.get(id) !== version) return; // changed or gone meanwhile
    try {
      const line = decodeLine(await this.planning.line(id));
      if (this.#drawn.get(id) !== version) return;
      this.#found.set(id, line);
      this.#show.in(SHOW_PAUSE_MS);
    } catch {
      if (this.#drawn.get(id) === version) this.#drawn.delete(id);
      if (this.#routes.length > 0) this.#again.in(AGAIN_MS);
    }
  }
}
