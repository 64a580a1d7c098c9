/** The base map: MapLibre on one PMTiles file that our own server gives. */
import { addProtocol, AttributionControl, GeoJSONSource, Map as MapLibreMap, NavigationControl, ScaleControl, setWorkerUrl } from "maplibre-gl";
import "maplibre-gl/dist/maplibre-gl.css";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import { Protocol } from "pmtiles";

import type { Position, Track } from "../live/rest.ts";
import type { Box } from "../live/protocol.ts";
import type { Theme } from "./palette.ts";
import { baseStyle, CLOSURES_SOURCE, ROUTE_STOPS_SOURCE, ROUTES_SOURCE, STOPS_SOURCE, TRACK_SOURCE } from "./style.ts";

const TILES = "/maps/porto.pmtiles";
const HOME: [number, number] = [-8.615, 41.157]; // the middle of Porto, whose map is shipped
const HOME_ZOOM = 12.6;

export interface PlannedStop extends Position {
  kind: "pickup" | "dropoff";
}

/** A planned route as the map shows it. */
export interface DrawnRoute {
  id: string;
  colour: string;
  /** [longitude, latitude] pairs along the roads. */
  line: readonly [number, number][];
  stops: readonly Position[];
  /** Beside the chosen one. */
  isFaded: boolean;
  /** Whether its stops are numbered. */
  isChosen: boolean;
}

/** A closed street or zone as the map shows it. */
export interface DrawnClosure {
  kind: "line" | "polygon";
  points: readonly Position[];
  /** Whether it is being drawn, and its points are shown. */
  isDraft: boolean;
}

setWorkerUrl(workerUrl);
addProtocol("pmtiles", new Protocol().tile);

export function createMap(container: HTMLElement, theme: Theme): MapLibreMap {
  const map = new MapLibreMap({
    container,
    style: styleFor(theme),
    center: HOME,
    zoom: HOME_ZOOM,
    minZoom: 7,
    maxZoom: 19,
    maxPitch: 0, // the vehicles lie on a flat canvas
    fadeDuration: 0, // a label that fades in repaints the whole map twenty times
    attributionControl: false,
  });
  map.touchPitch.disable();
  map.addControl(new AttributionControl({ compact: false }), "bottom-right");
  map.addControl(new NavigationControl({ visualizePitch: false }), "bottom-right");
  map.addControl(new ScaleControl({}), "bottom-left");
  map.getCanvas().setAttribute("aria-label", "Map. Arrow keys move it, plus and minus change its scale.");
  return map;
}

export function repaintMap(map: MapLibreMap, theme: Theme): void {
  map.setStyle(styleFor(theme), { diff: true });
}

/** What is in view, with a margin around it. */
export function boxOf(map: MapLibreMap, margin: number): Box {
  const bounds = map.getBounds();
  const high = (bounds.getNorth() - bounds.getSouth()) * margin;
  const wide = (bounds.getEast() - bounds.getWest()) * margin;
  return [
    Math.max(bounds.getSouth() - high, -85),
    Math.max(bounds.getWest() - wide, -180),
    Math.min(bounds.getNorth() + high, 85),
    Math.min(bounds.getEast() + wide, 180),
  ];
}

/** Draw where a vehicle was; none takes the line away. */
export function showTrack(map: MapLibreMap, track: Track | null): void {
  const coordinates = track === null ? [] : track.points.map(({ longitude, latitude }) => [longitude, latitude]);
  sourceOf(map, TRACK_SOURCE)?.setData({
    type: "FeatureCollection",
    features:
      coordinates.length < 2
        ? []
        : [{ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates } }],
  });
}

/** Draw where a vehicle has still to go. */
export function showStops(map: MapLibreMap, stops: readonly PlannedStop[]): void {
  sourceOf(map, STOPS_SOURCE)?.setData({
    type: "FeatureCollection",
    features: stops.map(({ kind, latitude, longitude }) => ({
      type: "Feature",
      properties: { kind },
      geometry: { type: "Point", coordinates: [longitude, latitude] },
    })),
  });
}

/** Draw planned routes on their roads, with their stops. */
export function showRoutes(map: MapLibreMap, routes: readonly DrawnRoute[]): void {
  sourceOf(map, ROUTES_SOURCE)?.setData({
    type: "FeatureCollection",
    features: routes
      .filter(({ line }) => line.length > 1)
      .map(({ id, colour, line, isFaded }) => ({
        type: "Feature",
        properties: { id, colour, faded: isFaded },
        geometry: { type: "LineString", coordinates: [...line] },
      })),
  });
  sourceOf(map, ROUTE_STOPS_SOURCE)?.setData({
    type: "FeatureCollection",
    features: routes
      .filter(({ isFaded }) => !isFaded)
      .flatMap(({ id, colour, stops, isChosen }) =>
        stops.map(({ latitude, longitude }, index) => ({
          type: "Feature" as const,
          properties: { id, colour, ...(isChosen ? { number: String(index + 1) } : {}) },
          geometry: { type: "Point" as const, coordinates: [longitude, latitude] },
        })),
      ),
  });
}

/** Draw closed streets and zones. */
export function showClosures(map: MapLibreMap, closures: readonly DrawnClosure[]): void {
  sourceOf(map, CLOSURES_SOURCE)?.setData({
    type: "FeatureCollection",
    features: closures.flatMap(({ kind, points, isDraft }) => {
      const line = points.map(({ latitude, longitude }) => [longitude, latitude]);
      const [first] = line;
      const isZone = kind === "polygon" && first !== undefined && line.length > 2;
      const shape = isZone
        ? { type: "Polygon" as const, coordinates: [[...line, first]] }
        : { type: "LineString" as const, coordinates: line };
      const corners = isDraft ? line.map((coordinates) => ({ type: "Point" as const, coordinates })) : [];
      return [...(line.length > 1 ? [shape] : []), ...corners].map((geometry) => ({
        type: "Feature" as const,
        properties: { draft: isDraft },
        geometry,
      }));
    }),
  });
}

/** Return how many lines of routes and shapes of closures the map holds. */
export async function shapesOf(map: MapLibreMap): Promise<{ routes: number; closures: number }> {
  const held = async (id: string): Promise<number> => {
    const data = await sourceOf(map, id)?.getData();
    return data?.type === "FeatureCollection" ? data.features.length : 0;
  };
  return { routes: await held(ROUTES_SOURCE), closures: await held(CLOSURES_SOURCE) };
}

/** Return the planned route at a point of the screen. */
export function routeAt(map: MapLibreMap, x: number, y: number): string | null {
  const near: [[number, number], [number, number]] = [
    [x - 4, y - 4],
    [x + 4, y + 4],
  ];
  const [found] = map.queryRenderedFeatures(near, { layers: ["route-stops", "routes"] });
  const id: unknown = found?.properties["id"];
  return typeof id === "string" && id !== "" ? id : null;
}

function sourceOf(map: MapLibreMap, id: string): GeoJSONSource | undefined {
  return map.getSource<GeoJSONSource>(id);
}

function styleFor(theme: Theme): ReturnType<typeof baseStyle> {
  return baseStyle(theme, new URL(TILES, location.href).href);
}
