/** The base map's style: our own layers on the tiles of `outrider maps build`, without the internet. */
import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from "maplibre-gl";

import { PALETTES, type Palette, type Theme } from "./palette.ts";

export const TRACK_SOURCE = "track";
export const STOPS_SOURCE = "stops";
export const ROUTES_SOURCE = "routes";
export const ROUTE_STOPS_SOURCE = "route-stops";
export const CLOSURES_SOURCE = "closures";

const FONT = ["sans-serif"]; // drawn by the browser: there is no glyph server
const ATTRIBUTION =
  '<a href="https://www.openstreetmap.org/copyright" target="_blank" rel="noopener">© OpenStreetMap contributors</a>';
const NOTHING = { type: "FeatureCollection" as const, features: [] };

/** Road classes from the least to the greatest, with their widths in pixels at zoom 10 and 18. */
const ROADS: readonly [name: string, colour: keyof Palette, thin: number, wide: number][] = [
  ["service", "minor", 0.3, 8],
  ["minor", "minor", 0.45, 15],
  ["tertiary", "tertiary", 0.8, 19],
  ["secondary", "secondary", 1.1, 22],
  ["primary", "primary", 1.5, 25],
  ["trunk", "motorway", 1.8, 27],
  ["motorway", "motorway", 2.2, 30],
];

export function baseStyle(theme: Theme, tiles: string): StyleSpecification {
  const palette = PALETTES[theme];
  return {
    version: 8,
    name: `Outrider ${theme}`,
    sources: {
      base: { type: "vector", url: `pmtiles://${tiles}`, attribution: ATTRIBUTION },
      [TRACK_SOURCE]: { type: "geojson", data: NOTHING, lineMetrics: true },
      [STOPS_SOURCE]: { type: "geojson", data: NOTHING },
      [ROUTES_SOURCE]: { type: "geojson", data: NOTHING },
      [ROUTE_STOPS_SOURCE]: { type: "geojson", data: NOTHING },
      [CLOSURES_SOURCE]: { type: "geojson", data: NOTHING },
    },
    layers: [
      { id: "ground", type: "background", paint: { "background-color": palette.ground } },
      ...areas(palette),
      ...roads(palette),
      ...closureLayers(palette),
      ...routeLayers(palette),
      ...trackLayers(palette),
      ...labels(palette),
      ...stopLayers(palette),
      ...routeStopLayers(palette),
    ],
  };
}

function areas(palette: Palette): LayerSpecification[] {
  const fill = (layer: string, colour: string): LayerSpecification => ({
    id: layer,
    type: "fill",
    source: "base",
    "source-layer": layer,
    paint: { "fill-color": colour },
  });
  return [
    fill("green", palette.green),
    fill("water", palette.water),
    {
      id: "waterways",
      type: "line",
      source: "base",
      "source-layer": "waterways",
      paint: { "line-color": palette.waterway, "line-width": byZoom(1, 4) },
    },
    fill("buildings", palette.building),
    {
      id: "rails",
      type: "line",
      source: "base",
      "source-layer": "rails",
      paint: { "line-color": palette.rail, "line-width": byZoom(0.6, 2.5) },
    },
  ];
}

function roads(palette: Palette): LayerSpecification[] {
  const layers: LayerSpecification[] = [
    {
      id: "paths",
      type: "line",
      source: "base",
      "source-layer": "roads",
      minzoom: 13,
      filter: ["==", ["get", "class"], "path"],
      paint: { "line-color": palette.path, "line-width": byZoom(0.3, 4) },
    },
  ];
  for (const [name, , thin, wide] of ROADS.slice(1)) {
    layers.push(roadLayer(`${name}-casing`, name, palette.casing, thin + 0.8, wide + 3, 12));
  }
  for (const [name, colour, thin, wide] of ROADS) layers.push(roadLayer(name, name, palette[colour], thin, wide, 0));
  return layers;
}

function roadLayer(
  id: string,
  name: string,
  colour: string,
  thin: number,
  wide: number,
  minzoom: number,
): LayerSpecification {
  return {
    id,
    type: "line",
    source: "base",
    "source-layer": "roads",
    minzoom,
    filter: ["==", ["get", "class"], name],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: {
      "line-color": colour,
      "line-width": byZoom(thin, wide),
      "line-opacity": ["case", ["has", "tunnel"], 0.45, 1],
    },
  };
}

function labels(palette: Palette): LayerSpecification[] {
  const paint = { "text-color": palette.label, "text-halo-color": palette.labelHalo, "text-halo-width": 1.4 };
  return [
    {
      id: "road-names",
      type: "symbol",
      source: "base",
      "source-layer": "roads",
      minzoom: 13.5,
      filter: ["all", ["has", "name"], ["!=", ["get", "class"], "path"]],
      layout: {
        "symbol-placement": "line",
        "symbol-spacing": 420,
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": ["interpolate", ["linear"], ["zoom"], 13, 10, 17, 13],
        "text-padding": 14,
      },
      paint,
    },
    {
      id: "river-names",
      type: "symbol",
      source: "base",
      "source-layer": "waterways",
      minzoom: 11,
      filter: ["all", ["has", "name"], ["==", ["get", "class"], "river"]],
      layout: {
        "symbol-placement": "line",
        "symbol-spacing": 500,
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": 12,
        "text-letter-spacing": 0.12,
      },
      paint: { ...paint, "text-halo-color": palette.water },
    },
    {
      id: "place-names",
      type: "symbol",
      source: "base",
      "source-layer": "places",
      layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": 12, "text-padding": 18 },
      paint,
    },
  ];
}

function trackLayers(palette: Palette): LayerSpecification[] {
  const layout = { "line-cap": "round", "line-join": "round" } as const;
  return [
    {
      id: "track-halo",
      type: "line",
      source: TRACK_SOURCE,
      layout,
      paint: { "line-color": palette.trackHalo, "line-width": 8, "line-opacity": 0.75 },
    },
    {
      id: "track",
      type: "line",
      source: TRACK_SOURCE,
      layout,
      paint: {
        "line-width": 4,
        // it fades towards the past
        "line-gradient": ["interpolate", ["linear"], ["line-progress"], 0, `${palette.track}40`, 1, palette.track],
      },
    },
  ];
}

function stopLayers(palette: Palette): LayerSpecification[] {
  return [
    {
      id: "stops",
      type: "circle",
      source: STOPS_SOURCE,
      paint: {
        "circle-radius": 6,
        "circle-color": ["case", ["==", ["get", "kind"], "pickup"], palette.outline, palette.stop],
        "circle-stroke-color": ["case", ["==", ["get", "kind"], "pickup"], palette.stop, palette.outline],
        "circle-stroke-width": 2.5,
      },
    },
  ];
}

/** Planned routes; `faded` are those beside the chosen one. */
function routeLayers(palette: Palette): LayerSpecification[] {
  const layout = { "line-cap": "round", "line-join": "round" } as const;
  return [
    {
      id: "routes-halo",
      type: "line",
      source: ROUTES_SOURCE,
      filter: ["!", ["get", "faded"]],
      layout,
      paint: { "line-color": palette.trackHalo, "line-width": byZoom(3.5, 9), "line-opacity": 0.7 },
    },
    {
      id: "routes",
      type: "line",
      source: ROUTES_SOURCE,
      layout,
      paint: {
        "line-color": ["get", "colour"],
        "line-width": byZoom(1.8, 6),
        "line-opacity": ["case", ["get", "faded"], 0.16, 0.92],
      },
    },
  ];
}

function routeStopLayers(palette: Palette): LayerSpecification[] {
  return [
    {
      id: "route-stops",
      type: "circle",
      source: ROUTE_STOPS_SOURCE,
      paint: {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 10, ["case", ["has", "number"], 6, 1.6], 15, ["case", ["has", "number"], 10, 4.5]],
        "circle-color": ["get", "colour"],
        "circle-stroke-color": palette.outline,
        "circle-stroke-width": ["case", ["has", "number"], 1.5, 0.8],
      },
    },
    {
      id: "route-stop-numbers",
      type: "symbol",
      source: ROUTE_STOPS_SOURCE,
      filter: ["has", "number"],
      layout: { "text-field": ["get", "number"], "text-font": FONT, "text-size": 10.5 },
      paint: { "text-color": "#ffffff" },
    },
  ];
}

/** Closed streets and zones; `draft` are those that are being drawn, with their points. */
function closureLayers(palette: Palette): LayerSpecification[] {
  const source = CLOSURES_SOURCE;
  return [
    {
      id: "closed-zones",
      type: "fill",
      source,
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "fill-color": palette.closed, "fill-opacity": ["case", ["get", "draft"], 0.12, 0.2] },
    },
    {
      id: "closed-streets-halo",
      type: "line",
      source,
      filter: ["!=", ["geometry-type"], "Point"],
      layout: { "line-join": "round" },
      paint: { "line-color": palette.trackHalo, "line-width": byZoom(4, 14), "line-opacity": 0.8 },
    },
    {
      id: "closed-streets",
      type: "line",
      source,
      filter: ["!=", ["geometry-type"], "Point"],
      layout: { "line-join": "round" },
      paint: { "line-color": palette.closed, "line-width": byZoom(2.4, 9), "line-dasharray": [1.6, 0.8] },
    },
    {
      id: "closure-points",
      type: "circle",
      source,
      filter: ["==", ["geometry-type"], "Point"],
      paint: {
        "circle-radius": 5,
        "circle-color": palette.outline,
        "circle-stroke-color": palette.closed,
        "circle-stroke-width": 2.5,
      },
    },
  ];
}

function byZoom(thin: number, wide: number): ExpressionSpecification {
  return ["interpolate", ["exponential", 1.6], ["zoom"], 10, thin, 18, wide];
}
