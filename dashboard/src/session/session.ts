/** Who is signed in: a token that lives as long as the browser's tab. */

const KEY = "outrider.token";

/** The token of this tab: from the address (`#token=…`, which is then taken out of it), else from before a reload. */
export function findToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) {
    history.replaceState(null, "", location.pathname + location.search);
    keepToken(given);
    return given;
  }
  return sessionStorage.getItem(KEY);
}

export function keepToken(token: string): void {
  sessionStorage.setItem(KEY, token);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}
