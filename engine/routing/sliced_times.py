"""When a vehicle is where, if its travel times change over the day. Pure.

A leg that begins in one slice and ends in another is driven at the pace of each for as long as that lasts, so that who
leaves later never arrives earlier (Ichoua, Gendreau and Potvin 2003). Breaks are taken before or after driving between
two stops, not on the road. The shortest day is looked for among departures at the begin of the shift and of each slice.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.routing.problem import Break, Window
from engine.routing.timetable import Call, Pause, Timetable

__all__ = ["Pace", "sliced_timetable"]

_ALWAYS = ((-(2**60), 2**60),)


@dataclass(frozen=True, slots=True)
class Pace:
    """The seconds that one leg takes in each slice."""

    begins: tuple[int, ...]
    seconds: tuple[int, ...]

    def arrive(self, leave: int) -> int:
        """Return when the leg is over."""
        moment, left = float(leave), 1.0
        number = max(0, bisect_right(self.begins, leave) - 1)
        while True:
            whole = self.seconds[number]
            until = self.begins[number + 1] if number + 1 < len(self.begins) else math.inf
            if moment + left * whole <= until:
                return math.ceil(moment + left * whole - 1e-9)
            left -= (until - moment) / whole
            moment, number = until, number + 1

    def leave(self, arrive: int) -> int:
        """Return the latest second at which one may leave to be there by a second."""
        early, late = arrive - max(self.seconds) - 1, arrive - min(self.seconds)
        while early < late:  # who leaves at `early` is in time
            middle = (early + late + 1) // 2
            early, late = (middle, late) if self.arrive(middle) <= arrive else (early, middle - 1)
        return early


class _Act(NamedTuple):
    """Something that takes time: a leg, a service or a break."""

    pace: Pace | None
    windows: tuple[Window, ...]
    length_s: int
    stop: int = -1
    """Position of the stop that is served."""
    rest: int = -1
    """Number of the break that is taken."""


class _Day(NamedTuple):
    """A way to spend the day until some point of the route."""

    moment: int
    late_s: int
    acts: tuple[_Act, ...]


def sliced_timetable(
    calls: Sequence[Call], legs: Sequence[Pace], shift: Window, breaks: Sequence[Break] = ()
) -> Timetable:
    """Return the times of a route.

    Parameters
    ----------
    calls
        Stops in order; their travel is not looked at.
    legs
        One to each stop, and one to where the vehicle ends.
    shift, breaks
        As for `engine.routing.timetable.timetable`.
    """
    starts = [shift[0], *(one for one in legs[0].begins if shift[0] < one < shift[1])]
    days = [day for start in starts for day in _days(calls, legs, breaks, start)]
    best = min(days, key=lambda day: _rank(day, shift, breaks))
    return _told(best, shift, len(breaks))


def _rank(day: _Day, shift: Window, breaks: Sequence[Break]) -> tuple[int, int, int, int, int]:
    missing = len(breaks) - sum(act.rest >= 0 for act in day.acts)
    start = _latest_start(day, shift)
    return day.late_s, max(0, day.moment - shift[1]), missing, day.moment - start, day.moment


def _days(calls: Sequence[Call], legs: Sequence[Pace], breaks: Sequence[Break], start: int) -> Iterator[_Day]:
    """Yield the day that ends first for every number of breaks that fit into it."""
    days: dict[int, _Day] = {0: _Day(start, 0, ())}
    clock = -(2**60)
    for number, one in enumerate(breaks):  # those that are over before the vehicle leaves
        begin = next((max(clock, opens) for opens, closes in one.windows if closes >= clock), 2**60)
        clock = begin + one.length_s
        if clock > start:
            break
        days[number + 1] = _Day(start, 0, (*days[number].acts, _Act(None, one.windows, 0, rest=number)))
    for position, leg in enumerate(legs):
        days = _rested(days, breaks)
        days = {taken: _done(day, _Act(leg, _ALWAYS, 0)) for taken, day in days.items()}
        if position < len(calls):
            days = _rested(days, breaks)
            call = calls[position]
            act = _Act(None, call.windows or _ALWAYS, call.service_s, stop=position)
            days = {taken: _done(day, act) for taken, day in days.items()}
    for taken, day in days.items():
        yield _rested_after(day, breaks, taken)


def _rested(days: dict[int, _Day], breaks: Sequence[Break]) -> dict[int, _Day]:
    """Return the days with as many breaks more as can be taken here, the soonest day for every number."""
    best = dict(days)
    for taken in range(len(breaks)):
        if taken in best and best[taken].moment <= breaks[taken].windows[-1][1]:
            rested = _done(best[taken], _Act(None, breaks[taken].windows, breaks[taken].length_s, rest=taken))
            known = best.get(taken + 1)
            if known is None or (rested.late_s, rested.moment) < (known.late_s, known.moment):
                best[taken + 1] = rested
    return best


def _rested_after(day: _Day, breaks: Sequence[Break], taken: int) -> _Day:
    """Return a day with the breaks that can be taken after its end, which does not put the end off."""
    clock, acts = day.moment, day.acts
    for number in range(taken, len(breaks)):
        begin = next((max(clock, opens) for opens, closes in breaks[number].windows if closes >= clock), None)
        if begin is None:
            break
        clock = begin + breaks[number].length_s
        acts = (*acts, _Act(None, breaks[number].windows, 0, rest=number))
    return day._replace(acts=acts)


def _done(day: _Day, act: _Act) -> _Day:
    """Return a day with one act more, as soon as it can be."""
    if act.pace is not None:
        return _Day(act.pace.arrive(day.moment), day.late_s, (*day.acts, act))
    late_s = max(0, day.moment - act.windows[-1][1])
    return _Day(_begin(act, day.moment) + act.length_s, day.late_s + late_s, (*day.acts, act))


def _begin(act: _Act, moment: int) -> int:
    return next((max(moment, opens) for opens, closes in act.windows if closes >= moment), moment)


def _latest_start(day: _Day, shift: Window) -> int:
    """Return how late one may leave for a day to end when it does; a day with lateness is left as it is."""
    moment = day.moment
    for act in reversed(day.acts):
        if act.pace is not None:
            moment = act.pace.leave(moment)
        elif act.length_s or act.rest < 0:
            begin = moment - act.length_s
            fitting = [min(begin, closes) for opens, closes in act.windows if opens <= begin]
            if not fitting:
                return shift[0]
            moment = fitting[-1]
    return max(shift[0], moment)


def _told(day: _Day, shift: Window, breaks: int) -> Timetable:
    """Go through a day once more, leaving as late as it allows."""
    start = shift[0] if day.late_s else _latest_start(day, shift)
    moment, drove = start, start
    arrivals: list[int] = []
    begins: list[int] = []
    late: list[tuple[int, int]] = []
    pauses: list[Pause] = []
    for act in day.acts:
        if act.pace is not None:
            moment = drove = act.pace.arrive(moment)
            continue
        if act.rest >= 0 and not act.length_s:
            continue  # over before the start
        begin = _begin(act, moment)
        if act.rest >= 0:
            pauses.append(Pause(act.rest, len(arrivals), begin))
        else:
            arrivals.append(drove)
            begins.append(begin)
            if moment > act.windows[-1][1]:
                late.append((act.stop, moment - act.windows[-1][1]))
        moment = begin + act.length_s
    missing = breaks - sum(act.rest >= 0 for act in day.acts)
    return Timetable(start, moment, tuple(arrivals), tuple(begins), tuple(late), tuple(pauses), missing)
