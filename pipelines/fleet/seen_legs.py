"""Simulated legs as the engine sees them: when a van set off and stood still, by what its phone sent. Pure.

A company's past is dated by the engine's rules, not by the truth. What they can't see (the crawl to a free place at the
kerb) is in no arrival, so a model of true arrivals would be early by it whenever finished legs correct it.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.deliveries.reports import reported_arrivals
from engine.eta.driven import LEAST_LEG_S
from engine.eta.under_way import SETTING_OUT_M
from engine.motion.profiles import PARCEL, pack_profiles
from engine.motion.standing import stood_at
from engine.shards.advance import EventKind, ShardState, advance
from engine.shards.stops import PlannedStop, StopKind
from models.documents.delivery import STOP_RADIUS_M
from models.geo import distances_m
from models.messages.fixes import DEGREE, Outcome
from pipelines.fleet.gps import Track
from pipelines.fleet.simulate import Day, Leg

__all__ = ["SeenLeg", "Watched", "seen_legs", "watch"]

_BATCH = 500  # fixes that a shard takes at once
_DRIVER = 1

Place = tuple[float, float]
"""Latitude and longitude, degrees."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the engine's rules make of one van's day."""

    arrivals: Mapping[int, int]
    """Place in the round → epoch milliseconds at which the van was seen to arrive there."""
    is_live: NDArray[np.bool_]
    """Of each fix, as sent: whether it moved the van; repeats, jumps and what comes late do not."""


@dataclass(frozen=True, slots=True)
class SeenLeg:
    """A leg as a shard puts it down."""

    leg: Leg
    stood: Place
    """Where the van was before it set off: base times are from there."""
    began_ms: int
    """The last that was heard of it there, epoch milliseconds."""
    arrived_ms: int
    """Epoch milliseconds."""


def watch(legs: Sequence[Leg], track: Track) -> Watched:
    """Return what the engine sees of a van's day.

    It knows all stops and their order from the start, and of each hand-over when the phone could report it.
    """
    state = ShardState(profiles=pack_profiles((PARCEL,)))
    row = state.drivers.add(_DRIVER, 0, 0, 0)
    stops = state.drivers.stops
    keys = {
        stops.open(row, number + 1, [PlannedStop("dropoff", leg.lat, leg.lon, STOP_RADIUS_M)])[0]: number
        for number, leg in enumerate(legs)
    }
    stops.order(row, {(number + 1, StopKind.DROPOFF): number for number in range(len(legs))})
    fixes = track.fixes.copy()
    fixes["driver"] = _DRIVER
    reported = np.searchsorted(track.sent_ms, [track.told_ms(leg.served_ms) for leg in legs]).tolist()
    edges = sorted({0, len(fixes), *reported, *range(0, len(fixes), _BATCH)})
    arrivals: dict[int, int] = {}
    is_live = np.zeros(len(fixes), np.bool_)
    for begin, end in itertools.pairwise(edges):
        while reported and reported[0] <= begin:
            done = len(legs) - len(reported)
            for event in reported_arrivals(state.drivers, done + 1, "delivered", begin):
                arrivals.setdefault(done, int(event["time"]))
            stops.close(done + 1)
            del reported[0]
        positions = np.arange(begin + 1, end + 1, dtype=np.uint64)
        rows = np.full(end - begin, row, np.int32)
        step = advance(state, fixes[begin:end], rows, track.sent_ms[begin:end], positions)
        is_live[begin:end] = step.outcomes == Outcome.LIVE
        for event in step.events[step.events["kind"] == EventKind.STOP_ARRIVED]:
            arrivals.setdefault(keys[int(event["subject"])], int(event["time"]))
    return Watched(arrivals, is_live)


def seen_legs(day: Day) -> Iterator[SeenLeg]:
    """Yield the legs of a day with tracks that the engine saw end."""
    for van, track in day.tracks.items():
        yield from _seen_of([leg for leg in day.legs if leg.van == van], track)


def _seen_of(legs: Sequence[Leg], track: Track) -> Iterator[SeenLeg]:
    watched = watch(legs, track)
    fixes, sent_ms = track.fixes[watched.is_live], track.sent_ms[watched.is_live]
    time_ms = fixes["time"]
    lat, lon = stood_at(fixes["speed"], fixes["lat"] / DEGREE, fixes["lon"] / DEGREE)
    # nobody is under way to a stop before the one before is done, and to none before the route leaves
    free_ms = [legs[0].departed_ms, *(leg.served_ms for leg in legs)]
    for number, arrived_ms in watched.arrivals.items():
        stood = max(0, int(np.searchsorted(sent_ms, free_ms[number], side="right")) - 1)
        until = max(stood + 1, int(np.searchsorted(time_ms, arrived_ms)))
        away_m = distances_m(lat[stood:until], lon[stood:until], lat[stood], lon[stood])
        began = stood + int(np.argmax(np.append(away_m, np.inf) >= SETTING_OUT_M)) - 1
        began_ms = max(int(time_ms[began]), free_ms[number])
        if arrived_ms - began_ms >= LEAST_LEG_S * 1000:
            yield SeenLeg(legs[number], (float(lat[stood]), float(lon[stood])), began_ms, arrived_ms)
