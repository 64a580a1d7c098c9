/** What the page can show, and who may see it: `api/auth/rights.py` has the last word. */

export type View = "live" | "plan" | "etas";

const OFFICE = new Set(["admin", "planner"]);

export function viewsOf(role: string): readonly View[] {
  return OFFICE.has(role) ? ["live", "plan", "etas"] : ["live"];
}
