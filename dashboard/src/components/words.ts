/** Measures in words. */

const MPS_TO_KMH = 3.6;
const POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];

export function kmh(metresPerSecond: number): string {
  return Number.isNaN(metresPerSecond) ? "–" : `${Math.round(metresPerSecond * MPS_TO_KMH)} km/h`;
}

export function metres(value: number): string {
  return Number.isNaN(value) ? "–" : `± ${value < 10 ? value.toFixed(1) : Math.round(value)} m`;
}

export function compass(degrees: number): string {
  if (Number.isNaN(degrees)) return "–";
  return `${POINTS[Math.round(degrees / 45) % 8] ?? ""} ${Math.round(degrees)}°`;
}

/** How long ago something was, to the second, minute, hour or day. */
export function ago(time: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - time) / 1000));
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

export function clock(time: number): string {
  return new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function hourAndMinute(time: string): string {
  return new Date(time).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
}

/** A time, with its day unless that is today. */
export function dayAndMinute(time: string): string {
  const date = new Date(time);
  if (date.toDateString() === new Date().toDateString()) return hourAndMinute(time);
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${hourAndMinute(time)}`;
}

/** Whole minutes from a moment to a time, none less than 0. */
export function minutesLeft(time: string, now: number): number {
  return Math.max(0, Math.round((Date.parse(time) - now) / 60_000));
}

/** A status as people write it: `picked_up` becomes “picked up”. */
export function statusWords(status: string): string {
  return status.replaceAll("_", " ");
}
