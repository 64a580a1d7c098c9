/** Moving stops between routes by hand. Plain functions over lists of visits. */
import type { Position } from "../live/rest.ts";
import type { Route, Stop, Visit } from "./planning.ts";

/** Routes' stops as they are edited, by route. */
export type Draft = ReadonlyMap<string, readonly Visit[]>;

/**
 * Move a stop to a place of a route. Within its route it moves alone; to another route its delivery goes as a whole,
 * so a pickup and its drop-off stay together.
 */
export function moveStop(draft: Draft, from: string, index: number, to: string, place: number): Draft {
  const moved = draft.get(from)?.[index];
  if (moved === undefined) return draft;
  const isTaken = (visit: Visit): boolean => (from === to ? visit === moved : visit.deliveryId === moved.deliveryId);
  const taken = (draft.get(from) ?? []).filter(isTaken);
  const left = (draft.get(from) ?? []).filter((visit) => !isTaken(visit));
  const target = from === to ? left : (draft.get(to) ?? []);
  const at = Math.max(0, Math.min(place, target.length));
  const filled = [...target.slice(0, at), ...taken, ...target.slice(at)];
  return new Map([...draft, [from, left], [to, filled]]);
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

/** Return those routes whose stops the draft has changed. */
export function changedRoutes(routes: readonly Route[], draft: Draft): Route[] {
  return routes.filter((route) => {
    const stops = draft.get(route.id);
    return stops !== undefined && !isSame(route.stops, stops);
  });
}

function isSame(one: readonly Visit[], other: readonly Visit[]): boolean {
  return one.length === other.length && one.every((visit, place) => keyOf(visit) === keyOf(other[place]));
}

export function keyOf(visit: Visit | undefined): string {
  return visit === undefined ? "" : `${visit.kind} ${visit.deliveryId}`;
}

function apart(one: Position, other: Position): number {
  const shrink = Math.cos((one.latitude * Math.PI) / 180);
  return Math.hypot(one.latitude - other.latitude, (one.longitude - other.longitude) * shrink);
}
