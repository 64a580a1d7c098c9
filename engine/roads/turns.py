"""What turns cost and which are banned.

The cost grows with the angle as in OSRM's car profile (https://github.com/Project-OSRM/osrm-backend,
`profiles/car.lua`): a sigmoid that is nearly nothing straight on and `_TURN_S` from a right angle on, a little more
across the traffic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.roads.extract import Restriction, Tags
from engine.roads.profiles import PROFILES, ROAD_CLASSES, is_barrier, node_seconds

__all__ = ["FORBIDDEN", "Junctions", "apply_restrictions", "concerned", "turn_costs"]

FORBIDDEN = 65_535
"""Cost of a turn that can't be made."""

_TURN_S = 7.5
_BIAS = 1.075
_U_TURN_S = 20.0
_YIELD_S = 3.0  # of coming from a lesser road onto a greater one
_COSTLIEST = FORBIDDEN - 1
_RANK = {name: place // 2 for place, name in enumerate(ROAD_CLASSES[:10])}
_LEAST_RANK = 5


@dataclass(frozen=True, slots=True)
class Junctions:
    """Arcs with where they begin and end, and what stands there."""

    tail: NDArray[np.int64]
    head: NDArray[np.int64]
    segment: NDArray[np.int32]
    is_forward: NDArray[np.bool_]
    arc_ms: NDArray[np.int32]
    """P × A; 0 is closed."""
    leaves_rad: NDArray[np.float64]
    """Direction at the tail, from east counter-clockwise."""
    arrives_rad: NDArray[np.float64]
    arc_rank: NDArray[np.int64]
    """0 for motorways, rising."""
    refs: NDArray[np.int64]
    """Node id of each junction."""
    blocked: NDArray[np.bool_]
    """P × junctions: whether something stands across the way."""
    wait_s: NDArray[np.float64]
    """P × junctions: what lights and gates cost."""

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], refs: NDArray[np.int64], node_tags: Mapping[int, Tags]) -> Self:
        """Return the junctions of a graph whose arcs are known."""
        segment = np.asarray(arrays["arc_segment"], np.int32)
        forward = np.asarray(arrays["arc_is_forward"], bool)
        ends = (
            np.asarray(arrays["segment_tail"], np.int64)[segment],
            np.asarray(arrays["segment_head"], np.int64)[segment],
        )
        out, back = _directions(arrays)
        blocked = np.zeros((len(PROFILES), refs.size), bool)
        wait_s = np.zeros((len(PROFILES), refs.size))
        for place in np.flatnonzero(np.isin(refs, np.fromiter(node_tags, np.int64, len(node_tags)))):
            tags = node_tags[int(refs[place])]
            blocked[:, place] = [is_barrier(tags, profile) for profile in PROFILES.values()]
            wait_s[:, place] = [node_seconds(tags, profile) for profile in PROFILES.values()]
        ranks = np.array([_RANK.get(name, _LEAST_RANK) for name in ROAD_CLASSES])
        return cls(
            tail=np.where(forward, *ends),
            head=np.where(forward, *ends[::-1]),
            segment=segment,
            is_forward=forward,
            arc_ms=np.asarray(arrays["arc_ms"], np.int32),
            leaves_rad=np.where(forward, out[segment], back[segment]),
            arrives_rad=np.where(forward, back[segment], out[segment]) + np.pi,
            arc_rank=ranks[np.asarray(arrays["segment_class"])[segment]],
            refs=refs,
            blocked=blocked,
            wait_s=wait_s,
        )

    def pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return all turns, (from, to) sorted by both. Back where one came from only where nothing else goes on."""
        by_tail = np.argsort(self.tail, kind="stable")
        starts = np.searchsorted(self.tail[by_tail], np.arange(self.refs.size + 1))
        counts = starts[self.head + 1] - starts[self.head]
        turn_from = np.repeat(np.arange(self.tail.size), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        turn_to = by_tail[starts[self.head[turn_from]] + within]
        is_back = self.segment[turn_from] == self.segment[turn_to]
        goes_on = np.ones(self.tail.size, bool)
        for ms, blocked in zip(self.arc_ms, self.blocked, strict=True):
            onward = np.zeros(self.tail.size, bool)
            counted = ~is_back & (ms[turn_to] > 0) & (ms[turn_from] > 0) & ~blocked[self.head[turn_from]]
            onward[turn_from[counted]] = True
            goes_on &= onward | (ms == 0)
        kept = (~is_back | ~goes_on[turn_from]) & (turn_from != turn_to)  # no way gains by a second round
        return turn_from[kept].astype(np.int32), turn_to[kept].astype(np.int32)


def turn_costs(
    junctions: Junctions, turn_from: NDArray[np.int32], turn_to: NDArray[np.int32], drives_left: bool
) -> NDArray[np.uint16]:
    """Return the costs of turns by profile, P × T hundredths of a second or `FORBIDDEN`."""
    at = junctions.head[turn_from]
    is_back = junctions.segment[turn_from] == junctions.segment[turn_to]
    angle = junctions.leaves_rad[turn_to] - junctions.arrives_rad[turn_from]
    left_deg = np.degrees((angle + np.pi) % (2 * np.pi) - np.pi)
    bent_s = np.where(is_back, _U_TURN_S, _bend_s(-left_deg if drives_left else left_deg))
    yields_s = np.where(junctions.arc_rank[turn_to] < junctions.arc_rank[turn_from], _YIELD_S, 0.0)
    costs = np.empty((len(PROFILES), turn_from.size), np.uint16)
    for number, profile in enumerate(PROFILES.values()):
        ms = junctions.arc_ms[number]
        seconds = np.where(_degree(junctions, ms)[at] > 2, bent_s + yields_s, np.where(is_back, _U_TURN_S, 0.0))
        seconds = seconds * (1.0 if profile.is_motor else 0.5) + junctions.wait_s[number][at]
        is_open = (ms[turn_from] > 0) & (ms[turn_to] > 0) & (~junctions.blocked[number][at] | is_back)
        costs[number] = np.where(is_open, np.minimum(np.rint(seconds * 100), _COSTLIEST), FORBIDDEN)
    return costs


def apply_restrictions(
    restrictions: Sequence[Restriction],
    junctions: Junctions,
    segment_way: NDArray[np.int64],
    turn_from: NDArray[np.int32],
    turn_to: NDArray[np.int32],
    costs: NDArray[np.uint16],
) -> None:
    """Forbid what turn restrictions at nodes ban, in place."""
    ref = junctions.refs[junctions.head[turn_from]]
    way = segment_way[junctions.segment]
    order = np.argsort(ref, kind="stable")
    keys = ref[order]
    for one in restrictions:
        if one.via_node is None:
            continue
        here = order[np.searchsorted(keys, one.via_node) : np.searchsorted(keys, one.via_node, side="right")]
        here = here[way[turn_from[here]] == one.from_way]
        leads_to = way[turn_to[here]] == one.to_way
        if one.is_u_turn and one.from_way == one.to_way:
            leads_to &= junctions.segment[turn_from[here]] == junctions.segment[turn_to[here]]
        if one.is_only and not leads_to.any():
            continue  # its way is not in the extract: nothing would be left
        banned = here[leads_to != one.is_only]
        costs[np.ix_(concerned(one), banned)] = FORBIDDEN


def concerned(restriction: Restriction) -> NDArray[np.bool_]:
    """Tell for which profiles a restriction holds."""
    special = restriction.special
    return np.array(
        [
            not restriction.exempt.intersection(profile.keys) and (special is None or special in profile.keys)
            for profile in PROFILES.values()
        ]
    )


def _directions(arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the directions in which one leaves each segment's two ends inwards, radians from east."""
    starts = np.asarray(arrays["segment_points"], np.int64)
    lat, lon = np.asarray(arrays["point_lat"], np.float64), np.asarray(arrays["point_lon"], np.float64)
    squeeze = np.cos(np.radians(lat / 1e7))

    def towards(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(np.arctan2(lat[other] - lat[one], (lon[other] - lon[one]) * squeeze[one]))

    first, last = starts[:-1], starts[1:] - 1
    return towards(first, first + 1), towards(last, last - 1)


def _bend_s(left_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost of turning by angles, positive to the side across the traffic."""
    across = _TURN_S / (1 + np.exp(-((13 / _BIAS) * left_deg / 180 * _BIAS**2 - 6.5 / _BIAS)))
    along = _TURN_S / (1 + np.exp(-((13 / _BIAS) * -left_deg / 180 - 6.5 * _BIAS)))
    return np.where(left_deg >= 0, across, along)


def _degree(junctions: Junctions, ms: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return how many roads meet at each junction for a profile."""
    is_open = ms > 0
    ends = np.concatenate([junctions.tail[is_open], junctions.head[is_open]])
    pairs = np.unique(np.stack([ends, np.tile(junctions.segment[is_open], 2)]), axis=1)
    return np.bincount(pairs[0], minlength=junctions.refs.size)
