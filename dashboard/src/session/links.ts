/** Links of mails: `#invitation=…` and `#reset=…` hand the page a token that is good once. */

export interface Link {
  purpose: "invitation" | "reset";
  token: string;
}

/** The link that led here, if one did; its token is taken out of the address, so that it stays in no history. */
export function findLink(): Link | null {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const purpose of ["invitation", "reset"] as const) {
    const token = given.get(purpose);
    if (token !== null) {
      history.replaceState(null, "", location.pathname + location.search);
      return { purpose, token };
    }
  }
  return null;
}
