/** Encoded polylines, in Google's format with five decimals. */

/** Return [longitude, latitude] pairs. */
export function decodeLine(encoded: string): [number, number][] {
  const points: [number, number][] = [];
  const place = { at: 0 };
  let latitude = 0;
  let longitude = 0;
  while (place.at < encoded.length) {
    latitude += nextNumber(encoded, place);
    longitude += nextNumber(encoded, place);
    points.push([longitude / 1e5, latitude / 1e5]);
  }
  return points;
}

function nextNumber(encoded: string, place: { at: number }): number {
  let bits = 0;
  let shift = 0;
  let chunk = 0;
  do {
    chunk = encoded.charCodeAt(place.at++) - 63;
    bits |= (chunk & 0x1f) << shift;
    shift += 5;
  } while (chunk >= 0x20);
  return bits & 1 ? ~(bits >> 1) : bits >> 1;
}
