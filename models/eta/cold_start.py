"""An arrival estimate without any model: base times along the plan, and a range that is wide and says so. Pure.

The range is what base times miss by on real trips: half of the legs lie within 28 % of theirs, and four of five between
0.65 and 1.6 times.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.eta.base_time import Pace, base_leg

__all__ = ["Eta", "Factor", "Promise", "StopAhead", "estimate_arrival"]

_LOW, _HIGH = 0.65, 1.6
_LEAST_S = 60.0  # nobody is told "now" while the driver is still under way


@dataclass(frozen=True, slots=True)
class StopAhead:
    """A stop that the driver still has to make."""

    latitude: float
    longitude: float
    service_s: float
    opens: datetime.datetime | None = None
    """Not served before."""


@dataclass(frozen=True, slots=True)
class Factor:
    """What a part of the time is made of."""

    name: str
    """`driving`, `stops_before`, `break`, `waiting`, or a reason that a model names."""
    minutes: float


@dataclass(frozen=True, slots=True)
class Promise:
    """The first estimate after a driver got the delivery: what the customer was told, never changed."""

    made: datetime.datetime
    time: datetime.datetime
    earliest: datetime.datetime
    latest: datetime.datetime


@dataclass(frozen=True, slots=True)
class Eta:
    """When a stop will be reached: as likely before `time` as after, and in four of five cases within the range."""

    time: datetime.datetime
    earliest: datetime.datetime
    latest: datetime.datetime
    confidence: Literal["low", "medium", "high"]
    factors: tuple[Factor, ...]
    updated: datetime.datetime
    model: str = "cold-start"
    """Which model said so."""
    base: str = "great_circle"
    """Who says how far it is: `roads`, or the great circle where there are none."""
    traffic: datetime.datetime | None = None
    """Of when the traffic is that was looked at; None where nobody knows it."""
    promise: Promise | None = None
    late_risk: float | None = None
    """Probability of coming after the time window; None without one."""


def estimate_arrival(at: tuple[float, float], moment: datetime.datetime, ahead: Sequence[StopAhead], pace: Pace) -> Eta:
    """Return when the last of the stops ahead is reached.

    Parameters
    ----------
    at
        Where the driver is, degrees.
    moment
        When the driver was there.
    ahead
        The stops to make in order; the last is the one that is asked about.
    pace
        How the vehicle gets along.
    """
    driving_s = served_s = waiting_s = 0.0
    place, clock = at, moment
    for number, stop in enumerate(ahead):
        leg = base_leg(*place, stop.latitude, stop.longitude, pace)
        driving_s += leg.duration_s
        clock += datetime.timedelta(seconds=leg.duration_s)
        if stop.opens is not None and clock < stop.opens:
            waiting_s += (stop.opens - clock).total_seconds()
            clock = stop.opens
        if number < len(ahead) - 1:
            served_s += stop.service_s
            clock += datetime.timedelta(seconds=stop.service_s)
        place = (stop.latitude, stop.longitude)
    total_s = max(_LEAST_S, (clock - moment).total_seconds())
    moving_s = driving_s + served_s
    opens = ahead[-1].opens
    return Eta(
        time=moment + datetime.timedelta(seconds=total_s),
        earliest=_no_sooner(moment, max(_LEAST_S, total_s - waiting_s - moving_s * (1 - _LOW)), opens),
        latest=_no_sooner(moment, total_s + moving_s * (_HIGH - 1), opens),
        confidence="low",
        factors=_factors(driving_s, served_s, waiting_s),
        updated=moment,
    )


def _no_sooner(moment: datetime.datetime, seconds: float, opens: datetime.datetime | None) -> datetime.datetime:
    reached = moment + datetime.timedelta(seconds=seconds)
    return reached if opens is None else max(reached, opens)


def _factors(driving_s: float, served_s: float, waiting_s: float) -> tuple[Factor, ...]:
    parts = (("driving", driving_s), ("stops_before", served_s), ("waiting", waiting_s))
    return tuple(Factor(name, round(seconds / 60, 1)) for name, seconds in parts if seconds > 0)
