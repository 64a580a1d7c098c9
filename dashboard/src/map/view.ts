/** Boxes of what is in view. */
import type { Box } from "../live/protocol.ts";

/** Tell whether `held` holds all of `inner` and is no larger than it need be, that is, lies within `outer`. */
export function isWithin(inner: Box, held: Box, outer: Box): boolean {
  return holds(held, inner) && holds(outer, held);
}

function holds(large: Box, small: Box): boolean {
  return large[0] <= small[0] && large[1] <= small[1] && large[2] >= small[2] && large[3] >= small[3];
}
