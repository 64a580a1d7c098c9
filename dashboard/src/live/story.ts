/** Events in words for the feed. */
import type { LiveEvent } from "./protocol.ts";

export type Tone = "good" | "plain" | "bad";

export interface Story {
  id: string;
  /** When it happened, by the clock of the fix. */
  time: number;
  /** When this page heard of it. */
  heard: number;
  text: string;
  tone: Tone;
  /** Id of the driver whom it is about, if known. */
  driver: string | null;
}

type Teller = (who: string, what: string) => [text: string, tone: Tone];

/** What is worth telling; stops and departures of a whole fleet are not. */
const TELLERS: Record<string, Teller> = {
  "delivery.stop_arrived": (who, stop) => [`${who} arrived at a ${stop === "pickup" ? "pick-up" : "drop-off"}`, "plain"],
  "delivery.accepted": (who, delivery) => [`${who} accepted ${delivery}`, "plain"],
  "delivery.picked_up": (who, delivery) => [`${who} picked up ${delivery}`, "plain"],
  "delivery.delivered": (who, delivery) => [`${who} delivered ${delivery}`, "good"],
  "delivery.failed": (who, delivery) => [`${who} could not deliver ${delivery}`, "bad"],
  "delivery.returned": (who, delivery) => [`${who} returned ${delivery}`, "bad"],
  "delivery.cancelled": (_who, delivery) => [`${delivery} was cancelled`, "bad"],
  "delivery.unassigned": (_who, delivery) => [`${delivery} needs a driver again`, "bad"],
  "driver.offline": (who) => [`${who} went offline`, "bad"],
  "driver.online": (who) => [`${who} is back online`, "good"],
  "geofence.enter": (who, fence) => [`${who} entered ${fence}`, "plain"],
  "geofence.exit": (who, fence) => [`${who} left ${fence}`, "plain"],
  "geofence.dwell": (who, fence) => [`${who} stays in ${fence}`, "plain"],
};

/** Tell an event, or null when it is not for the feed. `nameOf` gives a driver's name by id. */
export function tell(event: LiveEvent, nameOf: (driver: string) => string | undefined): Story | null {
  const teller = TELLERS[event.type];
  if (teller === undefined) return null;
  const driver = textOf(event.data, "driver") ?? textOf(event.data, "driverId") ?? driverIn(event.aggregate);
  const who = (driver !== null ? nameOf(driver) : undefined) ?? "A driver";
  const [text, tone] = teller(who, objectOf(event));
  return { id: event.id, time: event.time, heard: Date.now(), text, tone, driver };
}

function objectOf(event: LiveEvent): string {
  if (event.type === "delivery.stop_arrived") return textOf(event.data, "stop") ?? "dropoff";
  if (event.type.startsWith("geofence.")) return textOf(event.data, "name") ?? "a geofence";
  return shortDelivery(textOf(event.data, "deliveryId") ?? event.aggregate);
}

/** The end of an id is what tells two of them apart. */
export function shortDelivery(id: string): string {
  return `delivery ${id.slice(-5).toUpperCase()}`;
}

function driverIn(aggregate: string): string | null {
  return aggregate.startsWith("drv_") ? aggregate : null;
}

function textOf(data: Record<string, unknown>, key: string): string | null {
  const value = data[key];
  return typeof value === "string" ? value : null;
}
