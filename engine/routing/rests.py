"""Breaks of drivers: from the hours on a vehicle's door to moments of a day, and to their places in a route. Pure."""

import dataclasses
import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.routing.problem import ENDLESS, Break, whole_window
from engine.routing.timetable import Call, timetable
from models.documents.vehicle import Vehicle

__all__ = ["Placed", "Rest", "place_rests", "rests_of"]

_NO_LATER = Call(0, ((0, 0),), 0)


@dataclass(frozen=True, slots=True)
class Rest:
    """A break on one day."""

    opens: datetime.datetime
    closes: datetime.datetime
    """It begins no later."""
    length_s: int

    def as_break(self, zero: datetime.datetime) -> Break:
        """Return it in seconds after a moment."""
        return Break((whole_window(self.opens, self.closes, zero),), self.length_s)


class Placed(NamedTuple):
    """A break with its place in a route."""

    rest: Rest
    before: int
    """Number of the stop that follows; the number of stops where none does. 0 for what is taken before leaving, too."""
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
            opens, closes = one.window.on(date, zone)
            if closes >= leaves and opens < back:
                found.append(Rest(max(opens, leaves), closes, one.duration_s))
                break
    return tuple(sorted(found, key=lambda rest: (rest.opens, rest.closes)))


def place_rests(
    rests: Sequence[Rest],
    calls: Sequence[Call],
    home_s: int,
    start: datetime.datetime,
    day_begins: datetime.datetime,
) -> tuple[list[Placed], int]:
    """Return where in a route breaks are taken so that it ends soonest, and how many find no place.

    A break that would make stops late is taken all the same: the driver's day has it, be the customer's later.

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
    day_begins
        Moment from which on a break may be taken, be it before leaving.
    """
    begun = [dataclasses.replace(rest, opens=max(rest.opens, day_begins)) for rest in rests]
    # a stop at the start itself that can be made at once alone: who leaves at `start` does so
    whole = [_NO_LATER, *calls]
    breaks = [rest.as_break(start) for rest in begun]
    times = timetable(whole, home_s, (0, ENDLESS), breaks)
    if times.missing_breaks:
        times = timetable([_NO_LATER, *map(_eased, calls)], home_s, (0, ENDLESS), breaks)
    on_the_way = [
        Placed(rests[one.number], max(0, one.before - 1), start + datetime.timedelta(seconds=one.start_s))
        for one in times.pauses
    ]
    first = times.pauses[0].number if times.pauses else len(rests)
    return [*_before(begun[:first], start, day_begins), *on_the_way], times.missing_breaks


def _eased(call: Call) -> Call:
    """Return a stop that may be late: it waits for its window, which does not close."""
    return call._replace(windows=tuple((opens, ENDLESS) for opens, _ in call.windows[-1:]))


def _before(rests: Sequence[Rest], start: datetime.datetime, day_begins: datetime.datetime) -> Iterator[Placed]:
    """Yield the breaks that are over when the vehicle leaves."""
    clock = day_begins
    for rest in rests:
        begins = max(clock, rest.opens)
        clock = begins + datetime.timedelta(seconds=rest.length_s)
        if begins > rest.closes or clock > start:
            return
        yield Placed(rest, 0, begins)
