"""Breaks of drivers: from the hours on a vehicle's door to moments of a day, and to their places in a route. Pure."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.routing.problem import ENDLESS, Break, Window
from engine.routing.timetable import Call, timetable
from models.documents.vehicle import Vehicle

__all__ = ["Placed", "Rest", "place_rests", "rests_of"]

_NOW: tuple[Window, ...] = ((0, 0),)


@dataclass(frozen=True, slots=True)
class Rest:
    """A break on one day."""

    opens: datetime.datetime
    closes: datetime.datetime
    """It begins no later."""
    length_s: int

    def as_break(self, zero: datetime.datetime) -> Break:
        """Return it in seconds after a moment."""
        opens, closes = (int((moment - zero).total_seconds()) for moment in (self.opens, self.closes))
        return Break(((max(0, opens), max(0, closes)),), self.length_s)


class Placed(NamedTuple):
    """A break with its place in a route."""

    rest: Rest
    before: int
    """Number of the stop that follows; the number of stops where none does."""
    begins: datetime.datetime
    """Not before that moment."""


def rests_of(vehicle: Vehicle, leaves: datetime.datetime, back: datetime.datetime, zone: ZoneInfo) -> tuple[Rest, ...]:
    """Return a vehicle's breaks between leaving and coming back, in the order of the clock.

    A break whose hours are over at `leaves` has been taken, one that opens after `back` is the evening's.
    """
    day = leaves.astimezone(zone).date()
    found = []
    for one in vehicle.breaks:
        for date in (day - datetime.timedelta(days=1), day, day + datetime.timedelta(days=1)):
            opens, closes = (
                datetime.datetime.combine(date, datetime.time.fromisoformat(clock), zone)
                for clock in (one.window.start, one.window.end)
            )
            if one.window.end <= one.window.start:
                closes += datetime.timedelta(days=1)
            if closes >= leaves and opens < back:
                found.append(Rest(max(opens, leaves), closes, one.duration_s))
                break
    return tuple(sorted(found, key=lambda rest: (rest.opens, rest.closes)))


def place_rests(
    rests: Sequence[Rest], calls: Sequence[Call], home_s: int, start: datetime.datetime
) -> tuple[list[Placed], int]:
    """Return where in a route breaks are taken so that it ends soonest, and how many find no place.

    Parameters
    ----------
    rests
        In the order of taking them.
    calls
        Stops in order, windows in seconds after the start.
    home_s
        Travel from the last stop to the end.
    start
        When the vehicle leaves.
    """
    # a stop at the start itself that can be made at once alone: who leaves at `start` does so
    whole = [Call(0, _NOW, 0), *calls]
    times = timetable(whole, home_s, (0, ENDLESS), [rest.as_break(start) for rest in rests])
    placed = [
        Placed(rests[one.number], max(0, one.before - 1), start + datetime.timedelta(seconds=one.start_s))
        for one in times.pauses
    ]
    return placed, times.missing_breaks
