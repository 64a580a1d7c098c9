/** The live state that the page's parts share: the fleet, the connection, counters and the feed. */
import { LiveConnection, type ConnectionState } from "./connection.ts";
import { Fleet, type Presence, type Vehicle } from "./fleet.ts";
import type { Job } from "../plan/planning.ts";
import type { Box, JsonFrame, LiveEvent, PackedFrame } from "./protocol.ts";
import { Median, Rate } from "./rate.ts";
import type { Rest } from "./rest.ts";
import { tell, type Story } from "./story.ts";

const STORIES_KEPT = 100;
const LATENCIES_KEPT = 400;
const TICK_MS = 1000;

export class Live {
  readonly fleet = new Fleet();
  connection = $state<ConnectionState>("connecting");
  /** Rises once a second: lists and ages are drawn again. */
  tick = $state(0);
  counts = $state<Record<Presence, number>>({ moving: 0, stopped: 0, offline: 0 });
  framesPerSecond = $state(0);
  /** Median milliseconds from the server's receipt of a fix to its drawing; the two clocks are taken to agree. */
  latencyMs = $state<number | null>(null);
  stories = $state.raw<readonly Story[]>([]);
  /** Called when vehicles have changed. */
  onChange: (() => void) | null = null;
  /** Called when the first whole fleet has come. */
  onFirstFleet: ((fleet: Fleet) => void) | null = null;
  /** Called with the job that is followed, when it has come further. */
  onJob: ((job: Job) => void) | null = null;
  /** Called with what has happened to the company's deliveries, routes and proposals. */
  onEvents: ((events: readonly LiveEvent[]) => void) | null = null;
  /** Called when events may have passed unheard: the connection was lost and is back, or too many came at once. */
  onMissed: (() => void) | null = null;

  readonly #connection: LiveConnection;
  readonly #rate = new Rate();
  #latency = new Median(LATENCIES_KEPT);
  #undrawn: number[] = [];
  #timer = 0;
  #hasFleet = false;
  #hasBeenLive = false;

  constructor(token: string, rest: Rest, onRefused: () => void) {
    this.#connection = new LiveConnection(
      token,
      {
        onPacked: (frame) => this.#takePacked(frame),
        onFrame: (frame) => this.#takeFrame(frame),
        onNames: (message) => this.fleet.learnNames(message.drivers),
        onState: (state) => this.#takeState(state),
        onRefused,
      },
      () => rest.isTokenGood(),
    );
  }

  start(): void {
    this.#connection.open();
    this.#timer = window.setInterval(() => this.#count(), TICK_MS);
  }

  stop(): void {
    window.clearInterval(this.#timer);
    this.#connection.close();
  }

  look(box: Box): void {
    this.#connection.look(box);
  }

  /** Hear how a job comes on; none ends that. */
  follow(job: string | null): void {
    this.#connection.follow(job);
  }

  get box(): Box | null {
    return this.#connection.box;
  }

  get gaps(): number {
    return this.#connection.gaps;
  }

  /** The map has drawn what had come. */
  noteDrawn(): void {
    const now = Date.now();
    for (const received of this.#undrawn) this.#latency.add(now - received);
    this.#undrawn = [];
  }

  #takeState(state: ConnectionState): void {
    this.connection = state;
    if (state !== "live") return;
    if (this.#hasBeenLive) this.onMissed?.();
    this.#hasBeenLive = true;
  }

  #takePacked(frame: PackedFrame): void {
    this.#rate.add();
    const changed = this.fleet.take(frame.drivers);
    if (frame.id === "fleet" && frame.full) this.#takeWholeFleet(frame);
    else if (frame.id === "map" && !frame.full) this.#noteReceived(changed);
    this.onChange?.();
  }

  #takeWholeFleet(frame: PackedFrame): void {
    this.fleet.retain(new Set(frame.drivers.map((driver) => driver.number)));
    if (!this.#hasFleet && frame.drivers.length > 0) {
      this.#hasFleet = true;
      this.#count();
      this.onFirstFleet?.(this.fleet);
    }
  }

  #noteReceived(changed: readonly Vehicle[]): void {
    if (document.hidden) return; // nothing is drawn, so nothing is late
    for (const vehicle of changed.slice(0, LATENCIES_KEPT)) this.#undrawn.push(vehicle.received);
  }

  #takeFrame(frame: JsonFrame): void {
    this.#rate.add();
    if (frame.id === "fleet" && frame.gone.length > 0) {
      this.fleet.drop(frame.gone);
      this.onChange?.();
    }
    for (const job of frame.jobs ?? []) this.onJob?.(job);
    if ((frame.missed ?? 0) > 0) this.onMissed?.();
    if (frame.events.length > 0) this.onEvents?.(frame.events);
    const told = frame.events.flatMap((event) => tell(event, (driver) => this.fleet.byId(driver)?.name) ?? []);
    if (told.length > 0) this.stories = [...told.reverse(), ...this.stories].slice(0, STORIES_KEPT);
  }

  #count(): void {
    const counts = { moving: 0, stopped: 0, offline: 0 };
    for (const vehicle of this.fleet.vehicles.values()) counts[vehicle.presence] += 1;
    this.counts = counts;
    this.framesPerSecond = this.#rate.take();
    this.latencyMs = this.#latency.value;
    this.tick += 1;
  }
}
