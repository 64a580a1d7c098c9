/** Plans as the API speaks of them: deliveries, vehicles, jobs, routes, edits and proposals. */
import type { Position, Rest } from "../live/rest.ts";

export interface Order {
  id: string;
  status: string;
  reference: string | null;
  priority: string;
  routeId: string | null;
  located: boolean;
  pickup: Place | null;
  dropoff: Place;
}

interface Place {
  address?: string | null;
  latitude: number | null;
  longitude: number | null;
}

export interface PlanVehicle {
  id: string;
  name: string;
  driverId: string | null;
  startDepotId: string | null;
}

export interface Depot {
  id: string;
  name: string;
}

export interface Driver {
  id: string;
  name: string;
}

export type Criterion = "distance" | "time" | "fuel";

export interface PlanRequest {
  deliveries: string[];
  vehicles: string[];
  optimizationCriteria: Criterion[];
  constraints: { maxRouteTime?: number; maxStops?: number };
  seconds: number;
}

export interface Progress {
  elapsedS: number;
  cost: number;
  unserved: number;
  routes: number;
  bound: number | null;
}

export interface Unserved {
  deliveryId: string;
  reason: string;
}

export interface Job {
  id: string;
  state: "queued" | "running" | "done" | "cancelled" | "failed";
  /** What it makes small; costs are in the unit of the first. */
  criteria: Criterion[];
  progress: Progress[];
  routes: string[];
  unserved: Unserved[];
  error: string | null;
  createdAt: string;
  endedAt: string | null;
}

export interface Visit {
  deliveryId: string;
  kind: "pickup" | "dropoff";
  locked: boolean;
}

export interface Stop extends Visit, Position {
  arrival: string;
  departure: string;
  waitS: number;
  legDistanceM: number;
  loadKg: number;
}

export interface Violation {
  kind: string;
  stop: number | null;
  detail: string;
}

/** A rest of the driver; it is taken on the way to the stop of this number, counted from 0. */
export interface PlannedBreak {
  before: number;
  start: string;
  end: string;
}

export interface Route {
  id: string;
  version: number;
  name: string | null;
  status: "planned" | "dispatched" | "completed";
  driverId: string | null;
  vehicleId: string | null;
  start: string;
  end: string;
  origin: Position | null;
  destination: Position | null;
  stops: Stop[];
  breaks: PlannedBreak[];
  distanceM: number;
  durationS: number;
  cost: number;
  constraints: Record<string, number | null>;
  violations: Violation[];
  locked: boolean;
  jobId: string | null;
}

/** What a change by hand comes to, before it is stored. */
export interface Preview {
  routes: { route: Route; distanceM: number; durationS: number; cost: number; broken: Violation[]; mended: Violation[] }[];
  distanceM: number;
  durationS: number;
  cost: number;
}

export interface Cause {
  insert?: string[];
  cancel?: string[];
  delays?: { routeId: string; delayS: number }[];
  breakdowns?: string[];
}

export interface StopChange {
  deliveryId: string;
  kind: "pickup" | "dropoff";
  change: "new" | "moved" | "reordered" | "shifted" | "removed";
  fromRouteId: string | null;
  expected: string | null;
  arrival: string | null;
  shiftS: number | null;
}

/** A rest of the driver that begins at another time; null where it is not on the way. */
export interface BreakChange {
  expected: string | null;
  start: string | null;
  shiftS: number | null;
}

export interface Proposal {
  id: string;
  version: number;
  state: "open" | "accepted" | "rejected";
  cause: Required<Cause>;
  routes: {
    routeId: string;
    vehicleId: string | null;
    changes: StopChange[];
    breakChanges: BreakChange[];
    distanceM: number;
    durationS: number;
    cost: number;
    broken: Violation[];
    mended: Violation[];
  }[];
  unserved: Unserved[];
  distanceM: number;
  durationS: number;
  cost: number;
  createdAt: string;
  expiresAt: string;
}

const OPEN = ["pending", "assigned", "accepted", "picked_up", "in_transit", "arrived"];
const RUNNING = new Set(["queued", "running"]);

export function isRunning(job: Job): boolean {
  return RUNNING.has(job.state);
}

/** The calls that planning makes. */
export class Planning {
  constructor(private readonly rest: Rest) {}

  /** All deliveries that are not over yet. */
  orders(): Promise<Order[]> {
    return this.rest.all(`deliveries?${OPEN.map((status) => `status=${status}`).join("&")}`, 5000);
  }

  vehicles(): Promise<PlanVehicle[]> {
    return this.rest.all("vehicles?active=true");
  }

  depots(): Promise<Depot[]> {
    return this.rest.all("depots");
  }

  drivers(): Promise<Driver[]> {
    return this.rest.all("drivers");
  }

  /** Routes that are planned or on the road, newest first. */
  async routes(): Promise<Route[]> {
    const [planned, dispatched] = await Promise.all([
      this.rest.all<Route>("routes?status=planned", 400),
      this.rest.all<Route>("routes?status=dispatched", 400),
    ]);
    return [...planned, ...dispatched];
  }

  async jobs(): Promise<Job[]> {
    return (await this.rest.ask<{ items: Job[] }>("GET", "jobs?limit=1")).items;
  }

  begin(request: PlanRequest): Promise<Job> {
    return this.rest.ask("POST", "routes/optimize", request);
  }

  /** End a search; the best plan so far is kept. */
  end(job: string): Promise<Job> {
    return this.rest.ask("DELETE", `jobs/${job}`);
  }

  /** The way of a route on the roads, as an encoded polyline. */
  async line(route: string): Promise<string> {
    return (await this.rest.ask<{ polyline: string }>("GET", `routes/${route}/geometry?format=polyline`)).polyline;
  }

  preview(routes: readonly RouteEdit[]): Promise<Preview> {
    return this.rest.ask("POST", "routes/preview", { routes });
  }

  store(routes: readonly RouteEdit[]): Promise<Route[]> {
    return this.rest.ask("PUT", "routes", { routes });
  }

  change(route: Route, fields: { locked?: boolean; driverId?: string | null }): Promise<Route> {
    return this.rest.ask("PATCH", `routes/${route.id}`, { ...fields, version: route.version });
  }

  dispatch(route: Route): Promise<Route> {
    return this.rest.ask("POST", `routes/${route.id}/dispatch`, { version: route.version });
  }

  proposals(): Promise<Proposal[]> {
    return this.rest.all("routes/proposals?state=open", 50);
  }

  propose(cause: Cause): Promise<Proposal> {
    return this.rest.ask("POST", "routes/proposals", cause);
  }

  async answer(proposal: Proposal, answer: "accept" | "reject"): Promise<void> {
    await this.rest.ask("POST", `routes/proposals/${proposal.id}/${answer}`, { version: proposal.version });
  }
}

/** A route as an edit names it. */
export type RouteEdit = ReturnType<typeof editOf>;

/** A route with other stops; all else stays. */
export function editOf(route: Route, stops: readonly Visit[]) {
  const { id, version, name, start, driverId, vehicleId, origin, destination, locked, constraints } = route;
  const visits = stops.map(({ deliveryId, kind, locked: isLocked }) => ({ deliveryId, kind, locked: isLocked }));
  return { id, version, name, start, driverId, vehicleId, origin, destination, locked, constraints, stops: visits };
}
