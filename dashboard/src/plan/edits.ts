/** Moving stops between routes by hand. Plain functions over lists of visits. */
import type { Position } from "../live/rest.ts";
import type { Route, Stop, Visit } from "./planning.ts";

/** A route's stops as they are edited, and the route from which that began: its version is what is changed. */
export interface Edit {
  readonly from: Route;
  readonly stops: readonly Visit[];
}

/** Edited routes, by id; all of them differ from what they were. */
export type Draft = ReadonlyMap<string, Edit>;

/**
 * Move a stop to a place of a route. Within its route it moves alone; to another route its delivery goes as a whole,
 * so a pickup and its drop-off stay together.
 */
export function moveStop(draft: Draft, stop: Visit, from: Route, to: Route, place: number): Draft {
  const [source, target] = [draft.get(from.id) ?? begun(from), draft.get(to.id) ?? begun(to)];
  const isWithin = from.id === to.id;
  const isTaken = (visit: Visit): boolean =>
    isWithin ? keyOf(visit) === keyOf(stop) : visit.deliveryId === stop.deliveryId;
  const taken = source.stops.filter(isTaken);
  const left = source.stops.filter((visit) => !isTaken(visit));
  const others = isWithin ? left : target.stops;
  const at = Math.max(0, Math.min(place, others.length));
  const filled = [...others.slice(0, at), ...taken, ...others.slice(at)];
  const moved = new Map([...draft, [from.id, { ...source, stops: left }], [to.id, { ...target, stops: filled }]]);
  return new Map([...moved].filter(([, edit]) => !isSame(edit.from.stops, edit.stops)));
}

/** Return the place among a route's stops where a point lengthens the way least, as the crow flies. */
export function nearestPlace(stops: readonly Stop[], point: Position): number {
  let best = stops.length;
  let least = Infinity;
  for (let place = 0; place <= stops.length; place += 1) {
    const [before, after] = [stops[place - 1], stops[place]];
    const added =
      (before ? apart(before, point) : 0) + (after ? apart(point, after) : 0) - (before && after ? apart(before, after) : 0);
    if (added < least) [best, least] = [place, added];
  }
  return best;
}

/** What tells a visit from all others of a plan. */
export function keyOf(visit: Pick<Visit, "deliveryId" | "kind"> | undefined): string {
  return visit === undefined ? "" : `${visit.kind} ${visit.deliveryId}`;
}

function begun(route: Route): Edit {
  return { from: route, stops: route.stops };
}

function isSame(one: readonly Visit[], other: readonly Visit[]): boolean {
  return one.length === other.length && one.every((visit, place) => keyOf(visit) === keyOf(other[place]));
}

function apart(one: Position, other: Position): number {
  const shrink = Math.cos((one.latitude * Math.PI) / 180);
  return Math.hypot(one.latitude - other.latitude, (one.longitude - other.longitude) * shrink);
}
