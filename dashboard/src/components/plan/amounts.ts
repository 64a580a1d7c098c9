/** Distances, times and money of plans in words. */
import type { Criterion } from "../../plan/planning.ts";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

const GAP = "\u00a0"; // keeps a number and its unit in one line

export function km(metres: number): string {
  return `${one.format(metres / 1000)}${GAP}km`;
}

/** `2 h 05 min`, or minutes alone below an hour. */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}${GAP}min`;
  return [Math.floor(minutes / 60), "h", String(minutes % 60).padStart(2, "0"), "min"].join(GAP);
}

export function price(cost: number): string {
  return money.format(cost);
}

/** With its sign, as a change; what rounds to nothing has none. */
export function signed(value: number, text: (amount: number) => string): string {
  const amount = text(Math.abs(value));
  if (amount === text(0)) return `±${amount}`;
  return `${value < 0 ? "−" : "+"}${amount}`;
}

/** What a search makes small, in the unit of its criterion. */
export function costOf(criterion: Criterion | null, cost: number): string {
  if (criterion === "distance") return km(cost);
  if (criterion === "time") return duration(cost);
  if (criterion === "fuel") return `${one.format(cost / 1000)} L`;
  return whole.format(cost);
}
