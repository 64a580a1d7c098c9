"""Turn restrictions whose via is a way: arcs have twins, which stand for having come by the banned way.

A graph that is expanded by arcs knows the arc before, and no more. So a restriction from one way over others to a third
gets arcs of its own for what lies between: who comes from the first is led onto these twins, and from the last of them
the banned turn is missing. Everything else about a twin is as with its original (Geisberger and Vetter, 2011: Efficient
routing in road networks with turn costs). Twins come last among the arcs; ways begin on originals, and end on either.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.roads.extract import Restriction
from engine.roads.turns import FORBIDDEN, Junctions, concerned

__all__ = ["Turns", "apply_way_bans", "as_originals", "as_twins", "twins_among", "with_twins"]

_LONGEST = 40  # arcs of a banned way: more is a mistake of the map

_Cost = NDArray[np.uint16]


class Turns(NamedTuple):
    """T turns sorted by both ends, and their costs by profile."""

    turn_from: NDArray[np.int32]
    turn_to: NDArray[np.int32]
    costs: _Cost
    """P × T hundredths of a second or `FORBIDDEN`."""


def apply_way_bans(
    restrictions: Sequence[Restriction], junctions: Junctions, segment_way: NDArray[np.int64], turns: Turns
) -> tuple[Turns, NDArray[np.int32]]:
    """Return the turns with those from and to twins, and the original of each twin.

    Parameters
    ----------
    restrictions
        Those at nodes are left to `engine.roads.turns`.
    segment_way
        Id of the way that each segment is of.
    """
    states = _States(turns, junctions.tail.size)
    roads = _Roads(junctions, segment_way, states)
    for one in restrictions:
        for path, ends in roads.sequences(one) if one.via_ways else ():
            states.ban(path, ends, one.is_only, concerned(one))
    return states.turns(), np.array(states.twin_of, np.int32)


def as_twins(arcs: NDArray[Any], twin_of: NDArray[np.int32]) -> NDArray[Any]:
    """Return what holds for arcs, in their last dimension, with what holds for their twins behind it."""
    return np.concatenate([arcs, arcs[..., twin_of]], axis=-1)


def with_twins(arrays: Mapping[str, NDArray[Any]], arc_ms: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return what arcs take where twins take what their originals do."""
    twin_of = _twin_of(arrays)
    return as_twins(arc_ms[: arc_ms.size - twin_of.size], twin_of) if twin_of.size else arc_ms


def as_originals(arrays: Mapping[str, NDArray[Any]], arcs: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return arcs with originals in place of twins."""
    twin_of = _twin_of(arrays)
    first = arrays["arc_segment"].size - twin_of.size
    return np.concatenate([np.arange(first, dtype=np.int32), twin_of])[arcs] if twin_of.size else arcs


def twins_among(
    arrays: Mapping[str, NDArray[Any]], arcs: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the twins of some arcs: the place of each one's original among them, and the twin."""
    twin_of = _twin_of(arrays)
    order = np.argsort(twin_of, kind="stable")
    first = np.searchsorted(twin_of[order], arcs)
    counts = np.searchsorted(twin_of[order], arcs, side="right") - first
    places = np.repeat(np.arange(arcs.size), counts)
    twins = order[np.repeat(first, counts) + np.arange(places.size) - np.repeat(np.cumsum(counts) - counts, counts)]
    return places, (twins + arrays["arc_segment"].size - twin_of.size).astype(np.int32)


def _twin_of(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int32]:
    return arrays.get("twin_of", np.zeros(0, np.int32))  # files of earlier releases have none


class _States:
    """Arcs and twins, with what goes on from each."""

    def __init__(self, turns: Turns, arcs: int) -> None:
        self._turns, self._arcs = turns, arcs
        self._first = np.searchsorted(turns.turn_from, np.arange(arcs + 1))
        self._changed: dict[int, dict[int, _Cost]] = {}
        self.twin_of: list[int] = []

    def onward(self, arc: int) -> list[int]:
        """Return the arcs that an original leads to, before any ban."""
        found: list[int] = self._turns.turn_to[self._first[arc] : self._first[arc + 1]].tolist()
        return found

    def ban(self, path: Sequence[int], ends: Sequence[int], is_only: bool, whom: NDArray[np.bool_]) -> None:
        """Forbid the turns at a path's end to some arcs, or all but these and all that leave the path, to some."""
        first, *vias = path
        for state in [first, *(self._arcs + place for place, arc in enumerate(self.twin_of) if arc == first)]:
            here: int | None = state
            for arc in vias:
                if here is not None and is_only:
                    self._forbid(here, [arc], is_only, whom)
                here = None if here is None else self._step(here, arc)
            if here is not None:
                self._forbid(here, ends, is_only, whom)

    def turns(self) -> Turns:
        """Return all turns."""
        before = self._turns
        kept = ~np.isin(before.turn_from, list(self._changed))
        new = [(state, to, cost) for state, following in self._changed.items() for to, cost in following.items()]
        if not new:
            return before
        ends = np.array([(state, to) for state, to, _ in new], np.int32)
        turn_from = np.concatenate([before.turn_from[kept], ends[:, 0]])
        turn_to = np.concatenate([before.turn_to[kept], ends[:, 1]])
        costs = np.concatenate([before.costs[:, kept], np.stack([cost for _, _, cost in new], axis=1)], axis=1)
        order = np.lexsort([turn_to, turn_from])
        return Turns(turn_from[order], turn_to[order], costs[:, order])

    def _arc(self, state: int) -> int:
        return state if state < self._arcs else self.twin_of[state - self._arcs]

    def _following(self, state: int) -> dict[int, _Cost]:
        """Return what goes on from a state, to be changed."""
        if state not in self._changed:
            rows = range(self._first[state], self._first[state + 1])
            self._changed[state] = {int(self._turns.turn_to[row]): self._turns.costs[:, row].copy() for row in rows}
        return self._changed[state]

    def _forbid(self, state: int, arcs: Sequence[int], is_only: bool, whom: NDArray[np.bool_]) -> None:
        for to, cost in self._following(state).items():
            if (self._arc(to) in arcs) != is_only:
                cost[whom] = FORBIDDEN

    def _step(self, state: int, arc: int) -> int | None:
        """Lead a state onto a new twin of what it leads to of an arc; None if it leads there no more."""
        following = self._following(state)
        before = next((to for to in following if self._arc(to) == arc), None)
        if before is None:
            return None
        twin = self._arcs + len(self.twin_of)
        self.twin_of.append(arc)
        self._changed[twin] = {to: cost.copy() for to, cost in self._following(before).items()}
        following[twin] = following.pop(before)
        return twin


class _Roads:
    """Looks for the arcs that the members of a restriction stand for."""

    def __init__(self, junctions: Junctions, segment_way: NDArray[np.int64], states: _States) -> None:
        self._segment, self._states = junctions.segment, states
        self._way = segment_way[junctions.segment]
        self._by_way = np.argsort(self._way, kind="stable")
        self._ways = self._way[self._by_way]
        self._is_forward = junctions.is_forward

    def sequences(self, one: Restriction) -> Iterator[tuple[tuple[int, ...], list[int]]]:
        """Yield the arcs from the first way over all others, with those of the last way that follow."""
        begin, end = (np.searchsorted(self._ways, one.from_way, side=side) for side in ("left", "right"))
        waiting: list[tuple[int, ...]] = [(int(arc),) for arc in self._by_way[begin:end]]
        while waiting:
            path = waiting.pop()
            onward = [arc for arc in self._states.onward(path[-1]) if self._segment[arc] != self._segment[path[-1]]]
            is_whole = {int(self._way[arc]) for arc in path[1:]} == set(one.via_ways)
            ends = [arc for arc in onward if is_whole and self._is_end(one, path[0], arc)]
            if ends:
                yield path, ends
                continue
            used = {int(self._segment[arc]) for arc in path}
            if len(path) < _LONGEST:
                waiting += [
                    (*path, arc) for arc in onward if self._way[arc] in one.via_ways and self._segment[arc] not in used
                ]

    def _is_end(self, one: Restriction, first: int, arc: int) -> bool:
        """Tell whether an arc is of the last way; of a road that is turned back on, in the other direction."""
        is_back = self._is_forward[arc] != self._is_forward[first]
        return bool(self._way[arc] == one.to_way and (is_back or not one.is_u_turn or one.from_way != one.to_way))
