/** The state that the planner's page shares: what there is to plan, the running search, routes, edits and proposals. */
import { SvelteMap } from "svelte/reactivity";

import type { Live } from "../live/live.svelte.ts";
import type { LiveEvent } from "../live/protocol.ts";
import type { Position, Rest } from "../live/rest.ts";
import { shortDelivery } from "../live/story.ts";
import { changedRoutes, moveStop, nearestPlace, type Draft } from "./edits.ts";
import {
  editOf,
  isRunning,
  Planning,
  type Cause,
  type Criterion,
  type Depot,
  type Driver,
  type Job,
  type Order,
  type PlanRequest,
  type PlanVehicle,
  type Preview,
  type Proposal,
  type Route,
  type Stop,
} from "./planning.ts";
import { decodeLine } from "./polyline.ts";

const LINES_AT_ONCE = 4;
const PLANS_PAUSE_MS = 700;
const ORDERS_PAUSE_MS = 4000; // there may be thousands of them
const CHANGES_PLANS = /^(route|proposal|job)\./;
const CHANGES_ORDERS = /^delivery\.(created|changed|cancelled|unassigned)$/;

export class Planner {
  orders = $state.raw<readonly Order[]>([]);
  vehicles = $state.raw<readonly PlanVehicle[]>([]);
  depots = $state.raw<readonly Depot[]>([]);
  drivers = $state.raw<readonly Driver[]>([]);
  routes = $state.raw<readonly Route[]>([]);
  proposals = $state.raw<readonly Proposal[]>([]);
  job = $state.raw<Job | null>(null);
  /** What the search makes small, where it was begun here. */
  criterion = $state<Criterion | null>(null);
  chosen = $state<string | null>(null);
  draft = $state.raw<Draft>(new Map());
  preview = $state.raw<Preview | null>(null);
  isLoaded = $state(false);
  isBusy = $state(false);
  fault = $state("");
  /** The way of each route as [longitude, latitude] pairs. */
  readonly lines = new SvelteMap<string, [number, number][]>();

  readonly #planning: Planning;
  readonly #drawn = new Map<string, number>(); // route → version whose line is there
  readonly #orderById = $derived(new Map(this.orders.map((order) => [order.id, order])));
  readonly #vehicleById = $derived(new Map(this.vehicles.map((vehicle) => [vehicle.id, vehicle])));
  #plansTimer = 0;
  #ordersTimer = 0;
  #asked = 0; // previews: only the newest answer counts
  #isOver = false;

  readonly chosenRoute = $derived(this.routes.find((route) => route.id === this.chosen) ?? null);
  readonly edited = $derived(changedRoutes(this.routes, this.draft));
  /** Deliveries that are on no route and can be planned. */
  readonly open = $derived(this.orders.filter((one) => one.routeId === null && one.status === "pending" && one.located));

  constructor(
    rest: Rest,
    private readonly live: Live,
  ) {
    this.#planning = new Planning(rest);
  }

  async start(): Promise<void> {
    this.live.onJob = (job) => this.#takeJob(job);
    this.live.onEvents = (events) => this.#hear(events);
    await this.#attempt(async () => {
      const [vehicles, depots, drivers, jobs] = await Promise.all([
        this.#planning.vehicles(),
        this.#planning.depots(),
        this.#planning.drivers(),
        this.#planning.jobs(),
      ]);
      [this.vehicles, this.depots, this.drivers] = [vehicles, depots, drivers];
      await this.refresh();
      const [newest] = jobs;
      if (newest !== undefined) this.#takeJob(newest);
    });
    this.isLoaded = true;
  }

  stop(): void {
    this.#isOver = true;
    window.clearTimeout(this.#plansTimer);
    window.clearTimeout(this.#ordersTimer);
    this.live.onJob = this.live.onEvents = null;
    this.live.follow(null);
  }

  async refresh(): Promise<void> {
    await Promise.all([this.#refreshOrders(), this.#refreshPlans()]);
  }

  async #refreshOrders(): Promise<void> {
    const orders = await this.#planning.orders();
    if (!this.#isOver) this.orders = orders;
  }

  async #refreshPlans(): Promise<void> {
    const [routes, proposals] = await Promise.all([this.#planning.routes(), this.#planning.proposals()]);
    if (this.#isOver) return;
    [this.routes, this.proposals] = [routes.sort(byVehicle(this.#vehicleById)), proposals];
    if (this.chosen !== null && this.chosenRoute === null) this.choose(null);
    void this.#drawLines();
  }

  choose(route: string | null): void {
    this.chosen = route;
    if (this.edited.length === 0) this.#resetDraft();
  }

  // --- names

  /** What a delivery is called: its reference, else the end of its id. */
  orderName(id: string): string {
    return this.#orderById.get(id)?.reference ?? shortDelivery(id);
  }

  /** Where a stop is, in words, if its address is known. */
  placeName(stop: { deliveryId: string; kind: "pickup" | "dropoff" }): string {
    const order = this.#orderById.get(stop.deliveryId);
    return (stop.kind === "pickup" ? order?.pickup?.address : order?.dropoff.address) ?? "";
  }

  routeName(id: string): string {
    const route = this.routes.find((one) => one.id === id);
    const vehicle = this.#vehicleById.get(route?.vehicleId ?? "");
    return route?.name ?? vehicle?.name ?? `route ${id.slice(-5).toUpperCase()}`;
  }

  driverName(id: string | null): string {
    return this.drivers.find((driver) => driver.id === id)?.name ?? "nobody yet";
  }

  // --- the search

  begin(request: PlanRequest): Promise<void> {
    return this.#attempt(async () => {
      this.criterion = request.optimizationCriteria[0] ?? null;
      this.#takeJob(await this.#planning.begin(request));
    });
  }

  endSearch(): Promise<void> {
    return this.#attempt(async () => {
      if (this.job !== null) await this.#planning.end(this.job.id);
    });
  }

  #takeJob(job: Job): void {
    const wasRunning = this.job !== null && this.job.id === job.id && isRunning(this.job);
    this.job = job;
    this.live.follow(isRunning(job) ? job.id : null);
    if (!wasRunning || isRunning(job)) return;
    this.#refreshPlansSoon();
    this.#refreshOrdersSoon(0);
  }

  // --- edits by hand

  /** The stops of a route as they are edited: with planned times where these are known. */
  stopsOf(route: Route): readonly Stop[] {
    const previewed = this.preview?.routes.find((change) => change.route.id === route.id)?.route.stops;
    return previewed ?? route.stops;
  }

  /** Move a stop, and ask at once what that comes to. Without a place, to where it lengthens the way least. */
  async move(from: Route, index: number, to: Route, place?: number): Promise<void> {
    const stop = this.stopsOf(from)[index];
    if (stop === undefined) return;
    const draft = new Map(this.draft);
    for (const route of [from, to]) if (!draft.has(route.id)) draft.set(route.id, route.stops);
    const next = moveStop(draft, from.id, index, to.id, place ?? nearestPlace(this.stopsOf(to), stop as Position));
    if (next.get(from.id)?.length === 0) {
      this.fault = "A route needs a stop: delete it instead.";
      return;
    }
    this.draft = next;
    await this.#showPreview();
  }

  async #showPreview(): Promise<void> {
    const asked = ++this.#asked;
    const edits = this.edited.map((route) => editOf(route, this.draft.get(route.id) ?? []));
    if (edits.length === 0) {
      this.preview = null;
      return;
    }
    await this.#attempt(async () => {
      const found = await this.#planning.preview(edits);
      if (asked === this.#asked) this.preview = found;
    });
    if (this.fault !== "" && asked === this.#asked) this.#resetDraft(); // what can't be planned is not kept
  }

  storeEdits(): Promise<void> {
    return this.#attempt(async () => {
      await this.#planning.store(this.edited.map((route) => editOf(route, this.draft.get(route.id) ?? [])));
      this.#resetDraft();
      await this.refresh();
    });
  }

  discardEdits(): void {
    this.#asked += 1;
    this.#resetDraft();
  }

  #resetDraft(): void {
    this.draft = new Map();
    this.preview = null;
  }

  // --- routes

  lock(route: Route): Promise<void> {
    return this.#andRefresh(() => this.#planning.change(route, { locked: !route.locked }));
  }

  assign(route: Route, driver: string | null): Promise<void> {
    return this.#andRefresh(() => this.#planning.change(route, { driverId: driver }));
  }

  dispatch(routes: readonly Route[]): Promise<void> {
    return this.#andRefresh(async () => {
      for (const route of routes) await this.#planning.dispatch(route);
    });
  }

  remove(route: Route): Promise<void> {
    return this.#andRefresh(() => this.#planning.remove(route));
  }

  // --- proposals

  propose(cause: Cause): Promise<void> {
    return this.#andRefresh(() => this.#planning.propose(cause));
  }

  answer(proposal: Proposal, answer: "accept" | "reject"): Promise<void> {
    return this.#andRefresh(() => this.#planning.answer(proposal, answer));
  }

  #andRefresh(work: () => Promise<unknown>): Promise<void> {
    return this.#attempt(async () => {
      try {
        await work();
      } finally {
        await this.refresh(); // also after a refusal: somebody else may have been faster
      }
    });
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    this.isBusy = true;
    this.fault = "";
    try {
      await work();
    } catch (error) {
      this.fault = error instanceof Error ? error.message : "That did not work.";
    } finally {
      this.isBusy = false;
    }
  }

  #hear(events: readonly LiveEvent[]): void {
    if (events.some((event) => CHANGES_PLANS.test(event.type))) this.#refreshPlansSoon();
    if (events.some((event) => CHANGES_ORDERS.test(event.type))) this.#refreshOrdersSoon(ORDERS_PAUSE_MS);
  }

  /** Events come in swarms: look once, a moment later; what is being done here looks again by itself. */
  #refreshPlansSoon(): void {
    window.clearTimeout(this.#plansTimer);
    this.#plansTimer = window.setTimeout(() => {
      if (this.isBusy) this.#refreshPlansSoon();
      else this.#quietly(this.#refreshPlans());
    }, PLANS_PAUSE_MS);
  }

  #refreshOrdersSoon(pause: number): void {
    window.clearTimeout(this.#ordersTimer);
    this.#ordersTimer = window.setTimeout(() => this.#quietly(this.#refreshOrders()), pause);
  }

  #quietly(work: Promise<void>): void {
    work.catch((error: unknown) => (this.fault = error instanceof Error ? error.message : "That did not work."));
  }

  async #drawLines(): Promise<void> {
    const known = new Set(this.routes.map((route) => route.id));
    for (const id of [...this.lines.keys()]) if (!known.has(id)) this.lines.delete(id);
    const missing = this.routes.filter((route) => this.#drawn.get(route.id) !== route.version);
    for (const route of missing) this.#drawn.set(route.id, route.version);
    const draw = async (): Promise<void> => {
      for (let route = missing.shift(); route !== undefined && !this.#isOver; route = missing.shift()) {
        try {
          this.lines.set(route.id, decodeLine(await this.#planning.line(route.id)));
        } catch {
          this.#drawn.delete(route.id); // tried again at the next look
        }
      }
    };
    await Promise.all(Array.from({ length: LINES_AT_ONCE }, draw));
  }
}

function byVehicle(vehicles: ReadonlyMap<string, PlanVehicle>): (one: Route, other: Route) => number {
  const names = new Intl.Collator("en", { numeric: true });
  const nameOf = (route: Route): string => route.name ?? vehicles.get(route.vehicleId ?? "")?.name ?? route.id;
  return (one, other) => names.compare(nameOf(one), nameOf(other));
}
