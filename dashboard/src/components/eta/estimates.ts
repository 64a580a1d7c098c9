/** How well estimates do, and which models there are, as the API tells it. */
import type { Rest } from "../../live/rest.ts";

/** Of some promises; null where there were none. */
export interface PromiseAccuracy {
  label: string;
  arrivals: number;
  meanAbsoluteErrorS: number | null;
  biasS: number | null;
  /** Share of arrivals in the promised range; 0.8 is meant. */
  coverage: number | null;
  early: number | null;
  late: number | null;
  meanWidthS: number | null;
}

export interface ModelLegs {
  model: string;
  legs: number;
  meanAbsoluteErrorS: number | null;
  biasS: number | null;
  coverage: number | null;
  meanWidthS: number | null;
}

export interface Accuracy {
  whole: PromiseAccuracy;
  days: PromiseAccuracy[];
  ahead: PromiseAccuracy[];
  lateRisk: { told: number; missed: number; precision: number | null; recall: number | null };
  models: ModelLegs[];
}

export interface Model {
  name: string;
  serves: "you" | "everybody" | "beside" | "nobody";
  about: { created?: string; rows?: number; metrics?: Record<string, unknown> };
}

export interface Models {
  serving: string;
  items: Model[];
  log: { at: string; reason: string; action: "promote" | "roll_back"; model: string | null; before: string | null }[];
}

export class Estimates {
  constructor(private readonly rest: Rest) {}

  accuracy(days: number): Promise<Accuracy> {
    return this.rest.ask("GET", `eta/accuracy?days=${days}`);
  }

  models(): Promise<Models> {
    return this.rest.ask("GET", "eta/models");
  }

  promote(model: string): Promise<Models> {
    return this.rest.ask("POST", `eta/models/${encodeURIComponent(model)}/promote`);
  }

  rollBack(): Promise<Models> {
    return this.rest.ask("POST", "eta/models/rollback");
  }
}

export function seconds(value: number | null): string {
  if (value === null) return "–";
  return Math.abs(value) < 90 ? `${Math.round(value)} s` : `${(value / 60).toFixed(1)} min`;
}

export function percent(share: number | null): string {
  return share === null ? "–" : `${(share * 100).toFixed(share > 0.095 ? 0 : 1)} %`;
}

/** `under_10_min`, `10_to_30_min` … as people say it. */
export function aheadWords(label: string): string {
  return label.replaceAll("_", " ").replace(/(\d+) to (\d+)/, "$1–$2");
}
