/** Colours of routes: told apart on both maps, and by number where there are more routes than colours. */

const COLOURS = [
  "#2f7de1", "#e0662b", "#1c9e77", "#b04fc4", "#c9a002", "#d6456e", "#3aa5c4", "#7d6be0", "#6d9b2c", "#a8663a",
];

/** Deliveries that no route takes yet. */
export const WAITING = { light: "#56605d", dark: "#b9c4c2" };

export function routeColour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#2f7de1";
}
