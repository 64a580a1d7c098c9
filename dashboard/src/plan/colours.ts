/**
 * Colours of routes: told apart on both maps, and by number where there are more routes than colours. White numbers
 * are read on each: a contrast of 4.5 and more (WCAG 2.2, 1.4.3).
 */

const COLOURS = [
  "#2072dc", "#c2521c", "#178463", "#ae4ac2", "#8e7101", "#d33965", "#2c7d95", "#7461de", "#5a8024", "#a66539",
];

/** Deliveries that no route takes yet. */
export const WAITING = { light: "#56605d", dark: "#b9c4c2" };

export function routeColour(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "#2072dc";
}
