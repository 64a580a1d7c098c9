/** The few REST calls that the page makes. */

export interface Position {
  latitude: number;
  longitude: number;
}

/** Where a driver was, oldest first, noise left out. */
export interface Track {
  points: Position[];
}

export interface Delivery {
  id: string;
  status: string;
  reference: string | null;
  stops: { kind: "pickup" | "dropoff"; latitude: number; longitude: number }[];
  dropoff: { address?: string | null };
}

interface TrackColumns {
  latitude: number[];
  longitude: number[];
  filtered: boolean[];
}

const PASSING = new Set([401, 408, 429]); // refusals of the moment, not of what was asked
const FINAL = new Set(["delivered", "returned", "cancelled", "failed"]);

/** Who is signed in. */
export interface Profile {
  tenantName: string;
  role: string;
}

/** When a delivery will be there, and why. */
export interface Eta {
  estimatedTime: string;
  confidence: "low" | "medium" | "high";
  /** Four of five arrivals lie within it. */
  range: { min: string; max: string };
  factors: { name: string; minutes: number; text: string }[];
  /** Probability of missing the time window; null without one. */
  lateRisk: number | null;
  /** `cold-start` is base times alone. */
  model: string;
}

/** Raised when the server refuses; the message is meant for people. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }

  /** Whether asking for the same again would be in vain: it was understood, and is not to be. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && !PASSING.has(this.status);
  }
}

/** What went wrong, in a sentence for people. */
export function explain(error: unknown, otherwise = "That did not work."): string {
  return error instanceof Error ? error.message : otherwise;
}

/** Return an access token for an e-mail address and a password. */
export async function logIn(email: string, password: string): Promise<string> {
  const session = await post<{ accessToken: string }>("auth/login", { email, password });
  return session.accessToken;
}

/** Return an access token for the token of an invitation, with the name and password that were chosen. */
export async function acceptInvitation(token: string, password: string, name: string): Promise<string> {
  const session = await post<{ accessToken: string }>("auth/accept-invitation", { token, password, name });
  return session.accessToken;
}

/** Have a link to a new password mailed. */
export async function forgotPassword(email: string): Promise<void> {
  await post("auth/forgot-password", { email });
}

/** Choose a new password with the token of a mail. */
export async function resetPassword(token: string, password: string): Promise<void> {
  await post("auth/reset-password", { token, password });
}

function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return call<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export class Rest {
  constructor(
    private readonly token: string,
    /** Called when the server does not take our token (any more). */
    private readonly onRefused: () => void,
  ) {}

  /** Tell whether the server still takes our token; while it can't be asked, it is taken as good. */
  async isTokenGood(): Promise<boolean> {
    try {
      await this.profile();
      return true;
    } catch (error) {
      return !(error instanceof Refused && error.status === 401);
    }
  }

  async profile(): Promise<Profile> {
    return this.ask("GET", "auth/profile");
  }

  /** Return when a delivery will be there; null while nobody can say. */
  async eta(delivery: string): Promise<Eta | null> {
    try {
      return await this.ask<Eta>("GET", `tracking/eta/${encodeURIComponent(delivery)}`);
    } catch (error) {
      if (error instanceof Refused) return null;
      throw error;
    }
  }

  /** Return where a driver was in a range of fix time, epoch milliseconds. */
  async track(driver: string, from: number, to: number): Promise<Track> {
    const columns = await this.ask<TrackColumns>("GET", `drivers/${encodeURIComponent(driver)}/track?from=${from}&to=${to}`);
    const points = columns.latitude.flatMap((latitude, index) => {
      const longitude = columns.longitude[index];
      return longitude === undefined || columns.filtered[index] ? [] : [{ latitude, longitude }];
    });
    return { points };
  }

  /** Return the deliveries that a driver has still to do. */
  async openDeliveries(driver: string): Promise<Delivery[]> {
    const page = await this.ask<{ items: Delivery[] }>("GET", `deliveries?driverId=${encodeURIComponent(driver)}&limit=50`);
    return page.items.filter((delivery) => !FINAL.has(delivery.status));
  }

  /** Ask `/api/v1/<path>`; throws `Refused` when the server says no. */
  async ask<Answer>(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<Answer> {
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}` };
    const request: RequestInit = { method, headers };
    if (body !== undefined) {
      headers["Content-Type"] = "application/json";
      request.body = JSON.stringify(body);
    }
    try {
      return await call<Answer>(path, request);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) this.onRefused();
      throw error;
    }
  }

  /** Return all items of a list, page after page, up to `most`. */
  async all<Item>(path: string, most = 2000): Promise<Item[]> {
    const items: Item[] = [];
    const joint = path.includes("?") ? "&" : "?";
    let next: string | null = null;
    do {
      const place: string = next === null ? "" : `&cursor=${encodeURIComponent(next)}`;
      const page: { items: Item[]; next: string | null } = await this.ask("GET", `${path}${joint}limit=200${place}`);
      items.push(...page.items);
      next = page.next;
    } while (next !== null && items.length < most);
    return items;
  }
}

async function call<Answer>(path: string, request: RequestInit): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, request);
  } catch {
    throw new Refused(0, "Outrider does not answer. Is it running?");
  }
  if (!response.ok) throw new Refused(response.status, await detailOf(response));
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as Answer;
}

async function detailOf(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? response.statusText;
  } catch {
    return response.statusText;
  }
}
