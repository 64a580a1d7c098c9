"""When a vehicle is where on a given order of stops: the departure that makes the day shortest, breaks included. Pure.

The moment at a point of the route is a function of the moment t of leaving: max(t, earliest) + duration for
t ≤ latest. With one window a stop, one such piece is the whole truth (Savelsbergh 1992); with several windows, or
breaks to be placed, a route keeps every piece that no other beats.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.routing.problem import Break, Window

__all__ = ["Call", "Pause", "Timetable", "timetable"]

_ALWAYS = -(2**60)
_NEVER = 2**60


class Call(NamedTuple):
    """One stop of a route."""

    travel_s: int
    """From the stop before."""
    windows: tuple[Window, ...]
    service_s: int


class Pause(NamedTuple):
    """A break as it is taken."""

    number: int
    """Of the vehicle's breaks."""
    before: int
    """Position of the stop that follows; the number of stops where none does."""
    start_s: int


@dataclass(frozen=True, slots=True)
class Timetable:
    """Moments in seconds after the problem's zero."""

    start_s: int
    end_s: int
    arrivals: tuple[int, ...]
    begins: tuple[int, ...]
    """When service begins at each stop."""
    late: tuple[tuple[int, int], ...]
    """Positions that no departure reaches in time, and by how many seconds at least."""
    pauses: tuple[Pause, ...]
    """Breaks on the way; others are over before the start or begin after the end."""
    missing_breaks: int
    """How many breaks can't be placed."""

    @property
    def duration_s(self) -> int:
        """Return the time from leaving to coming back."""
        return self.end_s - self.start_s


class _Piece(NamedTuple):
    """Times at a point of the route, for one choice of windows and breaks."""

    first: int
    """Earliest moment of leaving."""
    duration: int
    earliest: int
    latest: int
    before: "_Piece | None" = None
    window: int = _NEVER
    """Not before which the stop's service begins."""
    pauses: tuple[tuple[int, int], ...] = ()
    """Breaks taken just before, each with the moment before which it does not begin."""

    @property
    def length(self) -> int:
        """Return the shortest time from leaving until here."""
        return self.duration + max(0, self.earliest - self.latest)

    @property
    def end(self) -> int:
        """Return the earliest moment here."""
        return self.earliest + self.duration


def timetable(calls: Sequence[Call], home_s: int, shift: Window, breaks: Sequence[Break] = ()) -> Timetable:
    """Return the times of a route that takes as little time as it can, and of those the one that ends first.

    Parameters
    ----------
    calls
        Stops in order; the first one's travel is from where the vehicle begins.
    home_s
        Travel from the last stop to where the vehicle ends.
    shift
        Earliest leave and latest return; a return that is later than that is not prevented.
    breaks
        To be taken in this order.
    """
    calls, late = _on_time(calls, shift[0])
    if breaks or any(len(call.windows) > 1 for call in calls):
        return _choose(calls, home_s, shift, breaks, late)
    duration, earliest, latest = 0, shift[0], shift[1]
    for travel_s, windows, service_s in calls:
        duration += travel_s
        if windows:
            [(opens, closes)] = windows
            earliest = max(earliest, opens - duration)
            latest = min(latest, closes - duration)
        duration += service_s
    duration += home_s
    if earliest + duration <= shift[1]:
        latest = min(latest, shift[1] - duration)
    return _drive(
        calls, home_s, min(earliest, latest), [call.windows[0][0] if call.windows else _ALWAYS for call in calls], late
    )


def _on_time(calls: Sequence[Call], start_s: int) -> tuple[Sequence[Call], tuple[tuple[int, int], ...]]:
    """Return the stops with windows that can all be kept, and those whose own windows can't, with the delay.

    A stop that is late is served as soon as can be, and no choice of departure may make it later.
    """
    late: list[tuple[int, int]] = []
    moment = start_s
    for position, call in enumerate(calls):
        moment += call.travel_s
        if call.windows:
            if moment > call.windows[-1][1]:
                late.append((position, moment - call.windows[-1][1]))
            else:
                moment = max(moment, next(opens for opens, closes in call.windows if closes >= moment))
        moment += call.service_s
    if not late:
        return calls, ()
    eased, moment = list(calls), start_s
    delays = dict(late)
    for position, call in enumerate(calls):
        moment += call.travel_s
        if position in delays:
            eased[position] = call._replace(windows=((moment, moment),))
        elif call.windows:
            moment = max(moment, next(opens for opens, closes in call.windows if closes >= moment))
        moment += call.service_s
    return eased, tuple(late)


def _drive(
    calls: Sequence[Call],
    home_s: int,
    start_s: int,
    opens: Sequence[int],
    late: tuple[tuple[int, int], ...],
    pauses: Sequence[Sequence[tuple[int, int, int]]] = (),
    missing: int = 0,
) -> Timetable:
    """Go through a route from a moment of leaving on, with the windows and breaks that were chosen."""
    taken: list[Pause] = []
    moment, arrivals, begins = start_s, [], []
    for position, (travel_s, _, service_s) in enumerate(calls):
        arrival = moment + travel_s
        if pauses and pauses[position]:
            arrival = _pause(moment, travel_s, position, pauses[position], taken)
        arrivals.append(arrival)
        moment = max(arrival, opens[position])
        begins.append(moment)
        moment += service_s
    end_s = moment + home_s
    if pauses and pauses[len(calls)]:
        end_s = _pause(moment, home_s, len(calls), pauses[len(calls)], taken)
    return Timetable(start_s, end_s, tuple(arrivals), tuple(begins), late, tuple(taken), missing)


def _pause(
    moment: int, travel_s: int, position: int, chosen: Sequence[tuple[int, int, int]], taken: list[Pause]
) -> int:
    """Take breaks between two stops, and return when the vehicle is at the second."""
    clock, resting = moment, 0
    for number, opens, length_s in chosen:
        clock = max(clock, opens)
        taken.append(Pause(number, position, clock))
        clock += length_s
        resting += length_s
    return max(moment + travel_s + resting, clock)


def _choose(
    calls: Sequence[Call], home_s: int, shift: Window, breaks: Sequence[Break], late: tuple[tuple[int, int], ...]
) -> Timetable:
    """Return the best timetable over all choices of windows and of places for breaks."""
    states = _leaving(shift, breaks)
    for call in calls:
        reached = _over_gap(states, call.travel_s, breaks)
        states = [_undominated(_served(pieces, call)) for pieces in reached]
    states = _over_gap(states, home_s, breaks)
    whole = [_home_in_time(pieces, shift[1]) for pieces in states]
    ended = [piece for count, pieces in enumerate(whole) for piece in _resting_after(pieces, breaks[count:])]
    missing = 0
    if not ended:
        # the breaks that are left find no place: take as many as can be
        most = max(count for count, pieces in enumerate(whole) if pieces)
        ended, missing = whole[most], len(breaks) - most
    best = min(ended, key=lambda one: (max(0, one.end - shift[1]), one.length, one.end))
    return _told(calls, home_s, best, breaks, late, missing)


def _leaving(shift: Window, breaks: Sequence[Break]) -> list[list[_Piece]]:
    """Return the pieces of just having left, by how many breaks were taken before."""
    states = [[_Piece(shift[0], 0, shift[0], shift[1])]]
    clock = _ALWAYS
    for one in breaks:
        opens = next((max(clock, opens) for opens, closes in one.windows if closes >= clock), _NEVER)
        clock = opens + one.length_s
        earliest = max(shift[0], clock)
        states.append([_Piece(earliest, 0, earliest, shift[1])] if earliest <= shift[1] else [])
    return states


def _over_gap(states: Sequence[Sequence[_Piece]], travel_s: int, breaks: Sequence[Break]) -> list[list[_Piece]]:
    """Return the pieces of having arrived, from those of leaving, with any number of breaks on the way."""
    reached: list[list[_Piece]] = [[] for _ in states]
    for count, pieces in enumerate(states):
        for piece in pieces:
            reached[count].append(_Piece(piece.first, piece.duration + travel_s, *piece[2:4], piece))
            for more, after in _resting(piece, travel_s, breaks, count):
                reached[more].append(after)
    return reached


def _resting(piece: _Piece, travel_s: int, breaks: Sequence[Break], count: int) -> Iterator[tuple[int, _Piece]]:
    """Yield the pieces of arriving with one break more, two more, and so on."""
    clocks: list[tuple[int, int, tuple[tuple[int, int], ...]]] = [(piece.earliest, piece.latest, ())]
    resting = 0
    for number in range(count, len(breaks)):
        clock_duration = piece.duration + resting
        resting += breaks[number].length_s
        following = []
        for earliest, latest, pauses in clocks:
            for opens, closes in breaks[number].windows:
                begins, until = max(earliest, opens - clock_duration), min(latest, closes - clock_duration)
                if begins + clock_duration <= closes and until >= piece.first:
                    following.append((begins, until, (*pauses, (number, opens))))
        clocks = following
        duration = piece.duration + travel_s + resting
        for earliest, latest, pauses in clocks:
            # the last break is over at max(t, earliest) + piece.duration + resting; driving is done no sooner
            floor = max(piece.earliest + duration, earliest + piece.duration + resting)
            yield number + 1, _Piece(piece.first, duration, floor - duration, latest, piece, _NEVER, pauses)


def _served(pieces: Sequence[_Piece], call: Call) -> Iterator[_Piece]:
    """Yield the pieces of leaving a stop, one for each window that can be kept."""
    for arrival in pieces:
        for opens, closes in call.windows or ((_ALWAYS, _NEVER),):
            latest = min(arrival.latest, closes - arrival.duration)
            earliest = max(arrival.earliest, opens - arrival.duration)
            if arrival.end <= closes and latest >= arrival.first:
                yield _Piece(arrival.first, arrival.duration + call.service_s, earliest, latest, arrival, opens)


def _undominated(pieces: Iterator[_Piece]) -> list[_Piece]:
    """Return the pieces that are somewhere better than every other."""
    kept: list[_Piece] = []
    for piece in sorted(pieces, key=lambda one: (-one.latest, one.duration, one.earliest)):
        if not any(one.duration <= piece.duration and one.end <= piece.end for one in kept):
            kept.append(piece)
    return kept


def _home_in_time(pieces: Sequence[_Piece], until: int) -> list[_Piece]:
    """Return the pieces with leaving early enough for the shift's end, where that can be kept."""
    kept = [piece._replace(latest=min(piece.latest, until - piece.duration)) for piece in pieces if piece.end <= until]
    return [piece for piece in kept if piece.latest >= piece.first] or list(pieces)


def _resting_after(pieces: Sequence[_Piece], breaks: Sequence[Break]) -> Iterator[_Piece]:
    """Yield the pieces of routes after whose end all the breaks that are left can be taken."""
    for piece in pieces:
        clocks = [(piece.earliest, piece.latest)]
        duration = piece.duration
        for one in breaks:
            clocks = [
                (max(earliest, opens - duration), min(latest, closes - duration))
                for earliest, latest in clocks
                for opens, closes in one.windows
                if earliest + duration <= closes
            ]
            duration += one.length_s
        yield from (piece._replace(latest=latest) for _, latest in clocks if latest >= piece.first)


def _told(
    calls: Sequence[Call],
    home_s: int,
    piece: _Piece,
    breaks: Sequence[Break],
    late: tuple[tuple[int, int], ...],
    missing: int,
) -> Timetable:
    """Return the timetable that a piece at the end of a route stands for."""
    start_s = min(piece.earliest, piece.latest)
    pauses: list[list[tuple[int, int, int]]] = []
    opens: list[int] = []
    at: _Piece | None = piece
    while at is not None and at.before is not None:  # arrivals and stops in turn, from the end on
        pauses.append([(number, begins, breaks[number].length_s) for number, begins in at.pauses])
        stop = at.before
        if stop.before is not None:
            opens.append(stop.window)
        at = stop.before
    return _drive(calls, home_s, start_s, opens[::-1], late, pauses[::-1], missing)
