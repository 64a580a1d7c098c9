/** What a proposal makes of one route, as rows in the order in which the van meets them. */
import { keyOf } from "./edits.ts";
import type { BreakChange, Proposal, StopChange } from "./planning.ts";

export type Row = { key: string; stop: StopChange; rest: null } | { key: string; stop: null; rest: BreakChange };

/** The kinds of changes, those that a planner has to see first. */
const KINDS = ["new", "rest", "moved", "removed", "reordered", "shifted"];

/** Stops and rests by when they will be; what leaves the route stands last. */
export function rowsOf(route: Proposal["routes"][number]): Row[] {
  const stops = route.changes.map((stop): Row => ({ key: keyOf(stop), stop, rest: null }));
  const rests = route.breakChanges.map((rest, number): Row => ({ key: `rest ${number}`, stop: null, rest }));
  return [...stops, ...rests].sort((one, other) => begins(one) - begins(other));
}

/** As many rows as there is room for, in their order: those that matter most. */
export function foremost(rows: readonly Row[], room: number): readonly Row[] {
  const kindOf = ({ stop }: Row): number => KINDS.indexOf(stop === null ? "rest" : stop.change);
  const chosen = new Set([...rows].sort((one, other) => kindOf(one) - kindOf(other)).slice(0, room));
  return rows.filter((row) => chosen.has(row));
}

/** The route that takes a stop over which leaves another, if one does. */
export function takerOf(proposal: Proposal, stop: StopChange, from: string): string | null {
  const key = keyOf(stop);
  const takes = (one: StopChange): boolean => one.change === "moved" && one.fromRouteId === from && keyOf(one) === key;
  return proposal.routes.find((route) => route.changes.some(takes))?.routeId ?? null;
}

function begins({ stop, rest }: Row): number {
  const time = stop === null ? rest.start : stop.arrival;
  return time === null ? Number.MAX_VALUE : Date.parse(time);
}
