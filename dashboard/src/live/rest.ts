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

const FINAL = new Set(["delivered", "returned", "cancelled", "failed"]);

/** Raised when the server refuses; the message is meant for people. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    detail: string,
  ) {
    super(detail);
  }
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
  constructor(private readonly token: string) {}

  /** Tell whether the server still takes our token; while it can't be asked, it is taken as good. */
  async isTokenGood(): Promise<boolean> {
    try {
      await this.profile();
      return true;
    } catch (error) {
      return !(error instanceof Refused && error.status === 401);
    }
  }

  async profile(): Promise<{ tenantName: string }> {
    return this.#get("auth/profile");
  }

  /** Return where a driver was in a range of fix time, epoch milliseconds. */
  async track(driver: string, from: number, to: number): Promise<Track> {
    const columns = await this.#get<TrackColumns>(`drivers/${encodeURIComponent(driver)}/track?from=${from}&to=${to}`);
    const points = columns.latitude.flatMap((latitude, index) => {
      const longitude = columns.longitude[index];
      return longitude === undefined || columns.filtered[index] ? [] : [{ latitude, longitude }];
    });
    return { points };
  }

  /** Return the deliveries that a driver has still to do. */
  async openDeliveries(driver: string): Promise<Delivery[]> {
    const page = await this.#get<{ items: Delivery[] }>(`deliveries?driverId=${encodeURIComponent(driver)}&limit=50`);
    return page.items.filter((delivery) => !FINAL.has(delivery.status));
  }

  async #get<Answer>(path: string): Promise<Answer> {
    return call<Answer>(path, { headers: { Authorization: `Bearer ${this.token}` } });
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
