/**
 * What travels on `/api/v1/ws?encoding=packed`: binary frames of 48-byte `LIVE` records, and JSON for the rest.
 * The other side is `api/gateway/frames.py` and `models/messages/live.py`.
 */
import type { Job } from "../plan/planning.ts";

export type Motion = "unknown" | "stopped" | "moving";

/** Live state of one driver, as it stands in a packed frame. */
export interface LiveRecord {
  number: number;
  latitude: number;
  longitude: number;
  /** Metres a second; NaN when unknown, as for the other measures. */
  speed: number;
  /** Degrees from north, clockwise. */
  heading: number;
  /** Radius in metres. */
  accuracy: number;
  /** Time of the fix, epoch milliseconds. */
  time: number;
  /** When the server took it, epoch milliseconds. */
  received: number;
  motion: Motion;
  /** Percent, or null when unknown. */
  battery: number | null;
  online: boolean;
  openStops: number;
}

export interface PackedFrame {
  n: number;
  id: string;
  full: boolean;
  drivers: LiveRecord[];
}

/** Something that happened, as the `alerts` topic tells it. */
export interface LiveEvent {
  id: string;
  type: string;
  /** Epoch milliseconds. */
  time: number;
  aggregate: string;
  data: Record<string, unknown>;
}

export interface JsonFrame {
  type: "frame";
  n: number;
  id: string;
  full: boolean;
  gone: string[];
  events: LiveEvent[];
  /** How many events were lost, because they came faster than they were taken. */
  missed?: number;
  /** How the job that is followed comes on. */
  jobs?: Job[];
}

export interface NamesMessage {
  type: "names";
  drivers: Record<string, { id: string; name: string }>;
}

export type ServerMessage =
  | JsonFrame
  | NamesMessage
  | { type: "connection_established"; session: string }
  | { type: "pong" }
  | { type: "error"; code: string; detail: string };

/** South, west, north, east, in degrees. */
export type Box = [number, number, number, number];

export type ClientMessage =
  | { type: "authenticate"; token: string }
  | { type: "subscribe"; id: string; topic: "viewport"; bbox: Box; intervalMs: number }
  | { type: "subscribe"; id: string; topic: "fleet" | "alerts"; intervalMs: number }
  | { type: "subscribe"; id: string; topic: "job"; jobId: string }
  | { type: "unsubscribe"; id: string }
  | { type: "resume"; n: number }
  | { type: "ping" };

const HEADER_BYTES = 16;
const RECORD_BYTES = 48;
const STEPS_PER_DEGREE = 1e7;
const UNKNOWN_BATTERY = 255;
const ONLINE = 1;
const MOTIONS: readonly Motion[] = ["unknown", "stopped", "moving"];

/** Read a binary frame. Throws when it is none of ours. */
export function readFrame(data: ArrayBuffer): PackedFrame {
  const view = new DataView(data);
  const magic = String.fromCharCode(view.getUint8(0), view.getUint8(1));
  if (magic !== "O1" || view.getUint8(2) !== 1) throw new Error(`not a frame of version 1: ${magic}`);
  const idBytes = view.getUint16(8, true);
  const count = view.getUint32(12, true);
  const start = HEADER_BYTES + idBytes;
  return {
    n: view.getUint32(4, true),
    id: new TextDecoder().decode(new Uint8Array(data, HEADER_BYTES, idBytes)),
    full: view.getUint8(3) !== 0,
    drivers: Array.from({ length: count }, (_, index) => readRecord(view, start + index * RECORD_BYTES)),
  };
}

function readRecord(view: DataView, at: number): LiveRecord {
  const battery = view.getUint8(at + 41);
  return {
    number: view.getUint32(at, true),
    latitude: view.getInt32(at + 4, true) / STEPS_PER_DEGREE,
    longitude: view.getInt32(at + 8, true) / STEPS_PER_DEGREE,
    speed: view.getFloat32(at + 12, true),
    time: Number(view.getBigInt64(at + 16, true)),
    received: Number(view.getBigInt64(at + 24, true)),
    heading: view.getFloat32(at + 32, true),
    accuracy: view.getFloat32(at + 36, true),
    motion: MOTIONS[view.getUint8(at + 40)] ?? "unknown",
    battery: battery === UNKNOWN_BATTERY ? null : battery,
    online: (view.getUint16(at + 42, true) & ONLINE) !== 0,
    openStops: view.getUint32(at + 44, true),
  };
}
