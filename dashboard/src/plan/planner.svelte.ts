/** The state that the planner's page shares: what there is to plan, the running search, routes, edits and proposals. */
import { Later } from "../live/later.ts";
import type { Live } from "../live/live.svelte.ts";
import { byName } from "../live/names.ts";
import { Newest } from "../live/newest.ts";
import type { LiveEvent } from "../live/protocol.ts";
import { explain, Refused, type Rest } from "../live/rest.ts";
import { shortDelivery } from "../live/story.ts";
import { Closures } from "./closures.svelte.ts";
import { keyOf, moveStop, nearestPlace, type Draft } from "./edits.ts";
import {
  editOf,
  isRunning,
  Planning,
  type Cause,
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
import { Ways } from "./ways.svelte.ts";

const PLANS_PAUSE_MS = 700;
const ORDERS_PAUSE_MS = 4000; // there may be thousands of them
const AGAIN_MS = 5000; // after what did not work
const CHANGES_PROPOSALS = /^proposal\./;
const CHANGES_PLANS = /^(route|proposal|job)\./;
const CHANGES_ORDERS = /^delivery\.(created|changed|cancelled|assigned|unassigned)$/;
const UNTOUCHED: Draft = new Map();

export class Planner {
  orders = $state.raw<readonly Order[]>([]);
  vehicles = $state.raw<readonly PlanVehicle[]>([]);
  depots = $state.raw<readonly Depot[]>([]);
  drivers = $state.raw<readonly Driver[]>([]);
  routes = $state.raw<readonly Route[]>([]);
  job = $state.raw<Job | null>(null);
  chosen = $state<string | null>(null);
  draft = $state.raw<Draft>(UNTOUCHED);
  preview = $state.raw<Preview | null>(null);
  isLoaded = $state(false);
  isStoring = $state(false);
  readonly ways: Ways;
  readonly closures: Closures;

  readonly #planning: Planning;
  readonly #plansAsked = new Newest();
  readonly #ordersAsked = new Newest();
  readonly #previewsAsked = new Newest();
  readonly #plansLater: Later = new Later(() => this.#lookAtPlans());
  readonly #ordersLater: Later = new Later(() => void this.#look(() => this.#refreshOrders(), this.#ordersLater));
  readonly #loadLater: Later = new Later(() => void this.#load());
  #proposed = $state.raw<readonly Proposal[]>([]);
  #previewed = $state.raw<Draft>(UNTOUCHED); // the draft that the preview is of
  #underWay = $state(0); // what was asked for here and is not answered yet
  #refusal = $state(""); // of what was asked for here
  #absence = $state(""); // why the page may lag behind
  #isWanted = false;
  #isOver = false;

  readonly #orderById = $derived(new Map(this.orders.map((order) => [order.id, order])));
  readonly #vehicleById = $derived(new Map(this.vehicles.map((vehicle) => [vehicle.id, vehicle])));
  readonly #routeById = $derived(new Map(this.routes.map((route) => [route.id, route])));

  readonly isBusy = $derived(this.#underWay > 0);
  readonly fault = $derived(this.#refusal || this.#absence);
  readonly chosenRoute = $derived(this.#routeById.get(this.chosen ?? "") ?? null);
  readonly edited = $derived([...this.draft.values()]);
  /** Whether the preview is of the draft as it is. */
  readonly isPreviewed = $derived(this.preview !== null && this.#previewed === this.draft);
  /** Whether somebody else has changed an edited route meanwhile. */
  readonly isOutdated = $derived(this.edited.some(({ from }) => this.#routeById.get(from.id)?.version !== from.version));
  /** Deliveries that are on no route and can be planned. */
  readonly open = $derived(this.orders.filter((one) => one.routeId === null && one.status === "pending" && one.located));
  /** Proposals that can still be answered. */
  readonly proposals = $derived.by(() => {
    this.live.tick; // their time runs out without a word
    const now = Date.now();
    const isFresh = (one: Proposal): boolean => Date.parse(one.expiresAt) > now;
    return this.#proposed.every(isFresh) ? this.#proposed : this.#proposed.filter(isFresh);
  });
  readonly #stopByKey = $derived.by(() => {
    const known = [...this.edited.map((edit) => edit.from), ...(this.preview?.routes.map((change) => change.route) ?? [])];
    return new Map(known.flatMap((route) => route.stops.map((stop) => [keyOf(stop), stop])));
  });

  constructor(
    rest: Rest,
    private readonly live: Live,
  ) {
    this.#planning = new Planning(rest);
    this.ways = new Ways(this.#planning);
    this.closures = new Closures(rest, live);
  }

  /** Hear of proposals; all else is read when it is wanted. */
  start(): void {
    this.live.onJob = (job) => this.#takeJob(job);
    this.live.onEvents = (events) => this.#hear(events);
    this.live.onMissed = () => this.#catchUp();
    this.#lookAtPlans();
    this.closures.load();
  }

  /** Read what there is to plan and keep it current; tried again until it is there. */
  load(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    void this.#load();
  }

  async #load(): Promise<void> {
    await this.#look(async () => {
      const [vehicles, depots, drivers, jobs] = await Promise.all([
        this.#planning.vehicles(),
        this.#planning.depots(),
        this.#planning.drivers(),
        this.#planning.jobs(),
      ]);
      if (this.#isOver) return;
      this.vehicles = byName(vehicles, ({ name }) => name);
      [this.depots, this.drivers] = [depots, byName(drivers, ({ name }) => name)];
      await Promise.all([this.#refreshOrders(), this.#refreshPlans()]);
      const [newest] = jobs;
      if (newest !== undefined && this.job === null) this.#takeJob(newest);
      this.isLoaded = true;
    }, this.#loadLater);
  }

  stop(): void {
    this.#isOver = true;
    for (const later of [this.#plansLater, this.#ordersLater, this.#loadLater]) later.cancel();
    this.ways.stop();
    this.closures.stop();
    this.live.onJob = this.live.onEvents = this.live.onMissed = null;
    this.live.follow(null);
  }

  async #refreshOrders(): Promise<void> {
    this.#ordersLater.cancel();
    const orders = await this.#ordersAsked.of(this.#planning.orders());
    if (orders !== undefined && !this.#isOver) this.orders = orders;
  }

  async #refreshPlans(): Promise<void> {
    this.#plansLater.cancel();
    const asked = Promise.all([this.#isWanted ? this.#planning.routes() : [], this.#planning.proposals()]);
    const found = await this.#plansAsked.of(asked);
    if (found === undefined || this.#isOver) return;
    const [routes, proposals] = found;
    this.#proposed = proposals;
    this.routes = byName(routes, (route) => this.#nameOf(route));
    if (this.chosen !== null && this.chosenRoute === null) this.choose(null);
    this.ways.take(this.routes);
  }

  choose(route: string | null): void {
    this.chosen = route;
  }

  // --- names

  /** What a delivery is called: its reference, else the end of its id. */
  orderName(id: string): string {
    return this.#orderById.get(id)?.reference ?? shortDelivery(id);
  }

  /** A sentence of the API, with deliveries by what they are called. */
  inWords(sentence: string): string {
    return sentence.replace(/\bdlv_[0-9a-z]+/g, (id) => this.orderName(id));
  }

  /** Where a stop is, in words, if its address is known. */
  placeName(stop: { deliveryId: string; kind: "pickup" | "dropoff" }): string {
    const order = this.#orderById.get(stop.deliveryId);
    return (stop.kind === "pickup" ? order?.pickup?.address : order?.dropoff.address) ?? "";
  }

  routeName(id: string): string {
    return this.#nameOf(this.#routeById.get(id) ?? { id, name: null, vehicleId: null });
  }

  #nameOf({ id, name, vehicleId }: Pick<Route, "id" | "name" | "vehicleId">): string {
    return name ?? this.#vehicleById.get(vehicleId ?? "")?.name ?? `route ${id.slice(-5).toUpperCase()}`;
  }

  // --- the search

  async begin(request: PlanRequest): Promise<void> {
    await this.#attempt(async () => this.#takeJob(await this.#planning.begin(request)));
  }

  async endSearch(): Promise<void> {
    await this.#attempt(async () => {
      if (this.job !== null) this.#takeJob(await this.#planning.end(this.job.id));
    });
  }

  #takeJob(job: Job): void {
    const before = this.job?.id === job.id ? this.job : null;
    if (this.#isOver || (before !== null && !isRunning(before) && isRunning(job))) return; // older than what is known
    this.job = job;
    this.live.follow(isRunning(job) ? job.id : null);
    if (before === null || !isRunning(before) || isRunning(job)) return;
    this.#plansLater.in(PLANS_PAUSE_MS);
    this.#ordersLater.in(0);
  }

  // --- edits by hand

  /** A route as its edit makes it, as far as that is worked out. */
  shown(route: Route): Route {
    return this.preview?.routes.find((change) => change.route.id === route.id)?.route ?? route;
  }

  /** The stops of a route as they are edited; their times are those that were last worked out. */
  stopsOf(route: Route): readonly Stop[] {
    const edit = this.draft.get(route.id);
    if (edit === undefined) return route.stops;
    return edit.stops.flatMap((visit) => this.#stopByKey.get(keyOf(visit)) ?? []);
  }

  /** Move a stop, and ask at once what that comes to. Without a place, to where it lengthens the way least. */
  async move(stop: Stop, from: Route, to: Route, place?: number): Promise<void> {
    const next = moveStop(this.draft, stop, from, to, place ?? nearestPlace(this.stopsOf(to), stop));
    if (next.get(from.id)?.stops.length === 0) {
      this.#refusal = "A route keeps at least one stop.";
      return;
    }
    this.draft = next;
    await this.showPreview();
  }

  /** Ask what the draft comes to. */
  async showPreview(): Promise<void> {
    const draft = this.draft;
    if (draft.size === 0) return this.discardEdits();
    await this.#attempt(async () => {
      try {
        const asked = this.#planning.preview(this.edited.map(({ from, stops }) => editOf(from, stops)));
        const found = await this.#previewsAsked.of(asked);
        if (found !== undefined) [this.preview, this.#previewed] = [found, draft];
      } catch (error) {
        if (error instanceof Refused && error.isFinal) this.#undo();
        throw error;
      }
    });
  }

  /** Go back to the draft that was last worked out: what can't be planned is not kept. */
  #undo(): void {
    this.draft = this.#previewed;
    this.#plansLater.in(0); // a route may have been changed by somebody else
  }

  async storeEdits(): Promise<void> {
    this.isStoring = true;
    await this.#andRefresh(async () => {
      await this.#planning.store(this.edited.map(({ from, stops }) => editOf(from, stops)));
      this.discardEdits();
    });
    this.isStoring = false;
  }

  discardEdits(): void {
    this.#previewsAsked.forget();
    this.draft = this.#previewed = UNTOUCHED;
    this.preview = null;
  }

  // --- routes

  async lock(route: Route): Promise<void> {
    await this.#andRefresh(() => this.#planning.change(route, { locked: !route.locked }));
  }

  async assign(route: Route, driver: string | null): Promise<void> {
    await this.#andRefresh(() => this.#planning.change(route, { driverId: driver }));
  }

  async dispatch(routes: readonly Route[]): Promise<void> {
    await this.#andRefresh(async () => {
      for (const route of routes) await this.#planning.dispatch(route);
    });
  }

  // --- proposals

  /** Ask for a proposal; undefined when that was refused. */
  propose(cause: Cause): Promise<Proposal | undefined> {
    return this.#andRefresh(() => this.#planning.propose(cause));
  }

  async answer(proposal: Proposal, answer: "accept" | "reject"): Promise<void> {
    await this.#andRefresh(() => this.#planning.answer(proposal, answer));
    this.#ordersLater.in(0);
  }

  #andRefresh<Answer>(work: () => Promise<Answer>): Promise<Answer | undefined> {
    return this.#attempt(async () => {
      try {
        return await work();
      } finally {
        await this.#refreshPlans(); // also after a refusal: somebody else may have been faster
      }
    });
  }

  async #attempt<Answer>(work: () => Promise<Answer>): Promise<Answer | undefined> {
    this.#underWay += 1;
    this.#refusal = "";
    try {
      return await work();
    } catch (error) {
      this.#refusal = explain(error);
      return undefined;
    } finally {
      this.#underWay -= 1;
    }
  }

  // --- what others do

  #hear(events: readonly LiveEvent[]): void {
    this.closures.hear(events);
    const changesPlans = this.#isWanted ? CHANGES_PLANS : CHANGES_PROPOSALS;
    if (events.some((event) => changesPlans.test(event.type))) this.#plansLater.in(PLANS_PAUSE_MS);
    if (this.#isWanted && events.some((event) => CHANGES_ORDERS.test(event.type))) this.#ordersLater.in(ORDERS_PAUSE_MS);
  }

  #catchUp(): void {
    this.closures.load();
    this.#plansLater.in(PLANS_PAUSE_MS);
    if (this.isLoaded) this.#ordersLater.in(PLANS_PAUSE_MS);
    else if (this.#isWanted) this.#loadLater.in(PLANS_PAUSE_MS);
  }

  /** Events come in swarms: look once, a moment later; what is being done here looks again by itself. */
  #lookAtPlans(): void {
    if (this.isBusy) this.#plansLater.in(PLANS_PAUSE_MS);
    else void this.#look(() => this.#refreshPlans(), this.#plansLater);
  }

  async #look(work: () => Promise<void>, again: Later): Promise<void> {
    try {
      await work();
      this.#absence = "";
    } catch (error) {
      if (this.#isOver) return;
      this.#absence = explain(error);
      again.in(AGAIN_MS);
    }
  }
}
