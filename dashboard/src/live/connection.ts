/**
 * The live WebSocket: authenticates, subscribes, notices gaps and silence, and comes back by itself.
 */
import { readFrame, type Box, type ClientMessage, type JsonFrame, type NamesMessage, type PackedFrame, type ServerMessage } from "./protocol.ts";

export type ConnectionState = "connecting" | "live" | "waiting" | "refused";

export interface LiveHandlers {
  onPacked(frame: PackedFrame): void;
  onFrame(frame: JsonFrame): void;
  onNames(message: NamesMessage): void;
  onState(state: ConnectionState): void;
  /** The server does not take our token (any more). */
  onRefused(): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
const PING_EVERY_MS = 10_000;
const SILENCE_MS = 25_000; // two pings without an answer: the way is dead, even if no one has said so
const MAP_INTERVAL_MS = 100;
const FLEET_INTERVAL_MS = 1500; // the list and the counters; what is in view comes faster
const ALERTS_INTERVAL_MS = 250;
const POLICY_VIOLATION = 1008; // how the server says that the token is no good

export class LiveConnection {
  /** Number of the last frame of this connection. */
  lastFrame = 0;
  /** How many gaps have been found and repaired. */
  gaps = 0;
  #socket: WebSocket | null = null;
  #box: Box | null = null;
  #job: string | null = null;
  #pause = FIRST_PAUSE_MS;
  #retry = 0;
  #pinger = 0;
  #heardAt = 0;
  #isLive = false;
  #isClosed = false;

  constructor(
    private readonly token: string,
    private readonly handlers: LiveHandlers,
    private readonly isTokenGood: () => Promise<boolean>,
  ) {
    window.addEventListener("online", this.#hurry);
  }

  open(): void {
    this.handlers.onState("connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/v1/ws?encoding=packed`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#send({ type: "authenticate", token: this.token });
    socket.onmessage = (message: MessageEvent<string | ArrayBuffer>) => this.#take(message.data);
    socket.onclose = (event) => void this.#onClose(event.code);
    this.#socket = socket;
    this.#heardAt = Date.now();
    window.clearInterval(this.#pinger);
    this.#pinger = window.setInterval(() => this.#checkLife(), PING_EVERY_MS);
  }

  /** Hang up for good. */
  close(): void {
    this.#isClosed = true;
    window.removeEventListener("online", this.#hurry);
    window.clearInterval(this.#pinger);
    window.clearTimeout(this.#retry);
    this.#socket?.close(1000);
  }

  /** Look at this part of the map from now on, also after a reconnect. */
  look(box: Box): void {
    this.#box = box;
    if (this.#isLive) this.#subscribeView(box);
  }

  /** Hear how a job comes on from now on, also after a reconnect; none ends that. */
  follow(job: string | null): void {
    if (job === this.#job) return;
    if (this.#isLive && this.#job !== null) this.#send({ type: "unsubscribe", id: "job" });
    this.#job = job;
    if (this.#isLive) this.#subscribeJob();
  }

  /** The part of the map that is subscribed. */
  get box(): Box | null {
    return this.#box;
  }

  #send(message: ClientMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #subscribeView(bbox: Box): void {
    this.#send({ type: "subscribe", id: "map", topic: "viewport", bbox, intervalMs: MAP_INTERVAL_MS });
  }

  #subscribeJob(): void {
    if (this.#job !== null) this.#send({ type: "subscribe", id: "job", topic: "job", jobId: this.#job });
  }

  #take(data: string | ArrayBuffer): void {
    this.#heardAt = Date.now();
    if (typeof data !== "string") {
      const frame = readFrame(data);
      this.#count(frame.n);
      this.handlers.onPacked(frame);
      return;
    }
    const message = JSON.parse(data) as ServerMessage;
    if (message.type === "connection_established") this.#begin();
    else if (message.type === "names") this.handlers.onNames(message);
    else if (message.type === "frame") {
      this.#count(message.n);
      this.handlers.onFrame(message);
    } else if (message.type === "error") console.warn(`live: ${message.code}: ${message.detail}`);
  }

  #begin(): void {
    this.#isLive = true;
    this.#pause = FIRST_PAUSE_MS;
    this.lastFrame = 0;
    this.handlers.onState("live");
    this.#send({ type: "subscribe", id: "fleet", topic: "fleet", intervalMs: FLEET_INTERVAL_MS });
    this.#send({ type: "subscribe", id: "alerts", topic: "alerts", intervalMs: ALERTS_INTERVAL_MS });
    if (this.#box !== null) this.#subscribeView(this.#box);
    this.#subscribeJob();
  }

  /** Frames are numbered without a hole; where there is one, ask for everything in full. */
  #count(n: number): void {
    if (n !== this.lastFrame + 1) {
      this.gaps += 1;
      this.#send({ type: "resume", n: this.lastFrame });
    }
    this.lastFrame = n;
  }

  #checkLife(): void {
    if (Date.now() - this.#heardAt > SILENCE_MS) this.#socket?.close(4000, "silence");
    else if (this.#isLive) this.#send({ type: "ping" });
  }

  async #onClose(code: number): Promise<void> {
    const wasLive = this.#isLive;
    this.#isLive = false;
    window.clearInterval(this.#pinger);
    if (this.#isClosed) return;
    this.handlers.onState("waiting");
    if (code === POLICY_VIOLATION || !wasLive) {
      if (!(await this.isTokenGood())) {
        this.handlers.onState("refused");
        this.handlers.onRefused();
        return;
      }
    }
    if (this.#isClosed) return;
    this.#retry = window.setTimeout(() => this.open(), this.#pause * (0.5 + Math.random()));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** The network is back: do not sit out the pause. */
  #hurry = (): void => {
    if (this.#isLive || this.#isClosed || this.#socket?.readyState !== WebSocket.CLOSED) return;
    window.clearTimeout(this.#retry);
    this.open();
  };
}
