/**
 * All vehicles that the page knows, and where each is drawn between two fixes.
 * Plain data without reactivity: thousands change many times a second, and the map reads them by frame.
 */
import { mercator } from "../map/mercator.ts";
import type { LiveRecord } from "./protocol.ts";

/** How a vehicle is told apart on the map and in the list. */
export type Presence = "moving" | "stopped" | "offline";

export interface Vehicle extends LiveRecord {
  id: string;
  name: string;
  presence: Presence;
  /** A glide from one place to another: Mercator units, degrees, seconds of the page's clock. */
  glide: Glide;
}

export interface Glide {
  fromX: number;
  fromY: number;
  toX: number;
  toY: number;
  fromHeading: number;
  /** Shortest turn to the new heading, -180 to 180. */
  turn: number;
  start: number;
  duration: number;
}

const FIRST_GLIDE_S = 1;
const SHORTEST_GLIDE_S = 0.2;
const LONGEST_GLIDE_S = 6;
const MARGIN = 1.08; // a little longer than the last interval: a late fix finds the vehicle still moving
const LONGEST_JUMP = 1.2e-4; // Mercator units, about 3.6 km at Porto: farther than that is no drive to be shown

export class Fleet {
  readonly vehicles = new Map<number, Vehicle>();
  readonly #byId = new Map<string, Vehicle>();
  readonly #names = new Map<number, { id: string; name: string }>();
  /** Rises with every change. */
  version = 0;

  /** Seconds of the page's clock. */
  static now(): number {
    return performance.now() / 1000;
  }

  learnNames(drivers: Record<string, { id: string; name: string }>): void {
    for (const [number, entry] of Object.entries(drivers)) {
      this.#names.set(Number(number), entry);
      const vehicle = this.vehicles.get(Number(number));
      if (vehicle !== undefined) this.#introduce(vehicle, entry);
    }
    this.version += 1;
  }

  /** Take newest states; what is older than what we have changes nothing. Returns those that moved on. */
  take(records: readonly LiveRecord[]): Vehicle[] {
    const now = Fleet.now();
    const changed: Vehicle[] = [];
    for (const record of records) {
      if (record.time === 0) continue; // a driver with stops ahead who has not been heard of yet is nowhere
      const known = this.vehicles.get(record.number);
      if (known === undefined) changed.push(this.#add(record, now));
      else if (record.time > known.time || record.received >= known.received) {
        this.#update(known, record, now);
        changed.push(known);
      }
    }
    this.version += 1;
    return changed;
  }

  /** Keep these vehicles alone. */
  retain(numbers: ReadonlySet<number>): void {
    for (const vehicle of [...this.vehicles.values()]) if (!numbers.has(vehicle.number)) this.#remove(vehicle);
    this.version += 1;
  }

  /** Drop vehicles by id. */
  drop(ids: readonly string[]): void {
    for (const id of ids) {
      const vehicle = this.#byId.get(id);
      if (vehicle !== undefined) this.#remove(vehicle);
    }
    this.version += 1;
  }

  byId(id: string): Vehicle | undefined {
    return this.#byId.get(id);
  }

  #add(record: LiveRecord, now: number): Vehicle {
    const [x, y] = mercator(record.latitude, record.longitude);
    const heading = Number.isNaN(record.heading) ? 0 : record.heading;
    const entry = this.#names.get(record.number);
    const vehicle: Vehicle = {
      ...record,
      id: entry?.id ?? "",
      name: entry?.name ?? `#${record.number}`,
      presence: presenceOf(record),
      glide: { fromX: x, fromY: y, toX: x, toY: y, fromHeading: heading, turn: 0, start: now, duration: FIRST_GLIDE_S },
    };
    this.vehicles.set(record.number, vehicle);
    if (entry !== undefined) this.#byId.set(entry.id, vehicle);
    return vehicle;
  }

  #update(vehicle: Vehicle, record: LiveRecord, now: number): void {
    const isNewFix = record.time !== vehicle.time;
    Object.assign(vehicle, record);
    vehicle.presence = presenceOf(record);
    if (isNewFix) vehicle.glide = nextGlide(vehicle.glide, record, now);
  }

  #remove(vehicle: Vehicle): void {
    this.vehicles.delete(vehicle.number);
    this.#byId.delete(vehicle.id);
  }

  #introduce(vehicle: Vehicle, entry: { id: string; name: string }): void {
    this.#byId.delete(vehicle.id);
    vehicle.id = entry.id;
    vehicle.name = entry.name;
    this.#byId.set(entry.id, vehicle);
  }
}

/** Where a vehicle is drawn at a moment: Mercator units, and its heading. */
export function drawnAt(glide: Glide, now: number): { x: number; y: number; heading: number } {
  const part = Math.min(Math.max((now - glide.start) / glide.duration, 0), 1);
  return {
    x: glide.fromX + (glide.toX - glide.fromX) * part,
    y: glide.fromY + (glide.toY - glide.fromY) * part,
    heading: glide.fromHeading + glide.turn * Math.min(part * 3, 1),
  };
}

/** A glide from where the vehicle is drawn now to its new fix, over about the time since the fix before. */
function nextGlide(last: Glide, record: LiveRecord, now: number): Glide {
  const [x, y] = mercator(record.latitude, record.longitude);
  const drawn = drawnAt(last, now);
  const jumps = Math.hypot(x - drawn.x, y - drawn.y) > LONGEST_JUMP;
  const interval = Math.min(Math.max((now - last.start) * MARGIN, SHORTEST_GLIDE_S), LONGEST_GLIDE_S);
  const heading = Number.isNaN(record.heading) ? drawn.heading : record.heading;
  return {
    fromX: jumps ? x : drawn.x,
    fromY: jumps ? y : drawn.y,
    toX: x,
    toY: y,
    fromHeading: drawn.heading,
    turn: ((((heading - drawn.heading) % 360) + 540) % 360) - 180,
    start: now,
    duration: interval,
  };
}

function presenceOf(record: LiveRecord): Presence {
  if (!record.online) return "offline";
  return record.motion === "moving" ? "moving" : "stopped";
}
