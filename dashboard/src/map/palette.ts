/** Colours of the map and its vehicles, for daylight and for dark rooms. */

export type Theme = "light" | "dark";

export interface Palette {
  ground: string;
  green: string;
  water: string;
  waterway: string;
  building: string;
  rail: string;
  casing: string;
  path: string;
  minor: string;
  tertiary: string;
  secondary: string;
  primary: string;
  motorway: string;
  label: string;
  labelHalo: string;
  track: string;
  trackHalo: string;
  stop: string;
  closed: string;
  moving: string;
  stopped: string;
  offline: string;
  outline: string;
}

const LIGHT: Palette = {
  ground: "#eceeeb",
  green: "#d9e5d3",
  water: "#bcd5e2",
  waterway: "#bcd5e2",
  building: "#dfe0dc",
  rail: "#c9cbc8",
  casing: "#d3d6d2",
  path: "#dcdeda",
  minor: "#ffffff",
  tertiary: "#ffffff",
  secondary: "#fffdf6",
  primary: "#fdf1d3",
  motorway: "#f7dca8",
  label: "#56605d",
  labelHalo: "#ffffff",
  track: "#1d5fd0",
  trackHalo: "#ffffff",
  stop: "#b5451f",
  closed: "#c4232b",
  moving: "#0a7d6c",
  stopped: "#c07a0a",
  offline: "#7b8583",
  outline: "#ffffff",
};

const DARK: Palette = {
  ground: "#11171a",
  green: "#14211c",
  water: "#0b2836",
  waterway: "#0b2836",
  building: "#182024",
  rail: "#29323a",
  casing: "#0d1214",
  path: "#1b2428",
  minor: "#232d32",
  tertiary: "#29353b",
  secondary: "#2f3d44",
  primary: "#394850",
  motorway: "#4b5a5e",
  label: "#98a6a8",
  labelHalo: "#0f1518",
  track: "#74a9ff",
  trackHalo: "#0d1214",
  stop: "#ff9466",
  closed: "#ff5d63",
  moving: "#2fd6b5",
  stopped: "#f2b13c",
  offline: "#7d898c",
  outline: "#0d1316",
};

export const PALETTES: Record<Theme, Palette> = { light: LIGHT, dark: DARK };
