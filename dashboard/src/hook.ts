/**
 * `window.outrider`: a read-only look at the page for tests and for curious people with a console.
 */
import type { Map as MapLibreMap } from "maplibre-gl";

import { drawnAt, Fleet, type Presence } from "./live/fleet.ts";
import type { Live } from "./live/live.svelte.ts";
import type { Box } from "./live/protocol.ts";
import { shapesOf, type DrawnClosure, type DrawnRoute } from "./map/base.ts";
import { unmercator } from "./map/mercator.ts";

export interface SeenVehicle {
  id: string;
  name: string;
  presence: Presence;
  /** Of the newest fix. */
  latitude: number;
  longitude: number;
  /** Where it is drawn at this moment, on its way there. */
  drawn: { latitude: number; longitude: number };
}

export interface Hook {
  /** All vehicles that the page knows. */
  vehicles(): SeenVehicle[];
  /** South, west, north, east of the subscribed part of the map. */
  subscription(): Box | null;
  /** State of the live connection, and how many gaps in its frames were repaired. */
  connection(): { state: string; gaps: number };
  /** Planned routes as they are drawn: how many points their lines have. */
  routes(): { id: string; points: number }[];
  /** Closed streets and zones as they are drawn. */
  closures(): { kind: string; points: number; isDraft: boolean }[];
  /** How many lines of routes and shapes of closures the map itself holds. */
  shapes(): Promise<{ routes: number; closures: number }>;
  /** South, west, north, east of what is in view; null until the map is ready. */
  view(): Box | null;
}

declare global {
  interface Window {
    outrider?: Readonly<Hook>;
  }
}

/** What else the map shows. */
export interface Drawn {
  routes: () => readonly DrawnRoute[];
  closures: () => readonly DrawnClosure[];
}

export function exposeHook(live: Live, map: MapLibreMap, drawn: Drawn): void {
  window.outrider = Object.freeze({
    vehicles: () => [...live.fleet.vehicles.values()].map((vehicle) => {
      const { x, y } = drawnAt(vehicle.glide, Fleet.now());
      const [latitude, longitude] = unmercator(x, y);
      const { id, name, presence } = vehicle;
      return {
        ...{ id, name, presence, latitude: vehicle.latitude, longitude: vehicle.longitude },
        drawn: { latitude, longitude },
      };
    }),
    subscription: () => live.box,
    routes: () => drawn.routes().filter(({ id }) => id !== "").map(({ id, line }) => ({ id, points: line.length })),
    closures: () => drawn.closures().map(({ kind, points, isDraft }) => ({ kind, points: points.length, isDraft })),
    shapes: () => shapesOf(map),
    connection: () => ({ state: live.connection, gaps: live.gaps }),
    view: () => {
      if (!map.loaded()) return null;
      const bounds = map.getBounds();
      return [bounds.getSouth(), bounds.getWest(), bounds.getNorth(), bounds.getEast()];
    },
  } satisfies Hook);
}

export function removeHook(): void {
  delete window.outrider;
}
