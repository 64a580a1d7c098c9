/** Web Mercator in units of the whole world: x and y from 0 to 1, y southwards. */

export const TILE_PIXELS = 512;

export function mercator(latitude: number, longitude: number): [number, number] {
  const angle = (latitude * Math.PI) / 180;
  return [longitude / 360 + 0.5, 0.5 - Math.log(Math.tan(Math.PI / 4 + angle / 2)) / (2 * Math.PI)];
}

/** Latitude and longitude of a place in Mercator units. */
export function unmercator(x: number, y: number): [number, number] {
  return [(Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI, (x - 0.5) * 360];
}
