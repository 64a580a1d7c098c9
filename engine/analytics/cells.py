"""What one delivery, and one driver's day, add to the figures.

Pure, and a function of the whole story: told again it gives the same cells, told late or changed it gives others, and
the difference between two tellings (`engine.analytics.sums`) is what buckets are corrected by. Amounts are whole
numbers, so that sums do not depend on their order.

| amount | day | driver | counts |
| --- | --- | --- | --- |
| `created` | of the order | nobody | deliveries |
| `count:S`, `directM:S` | on which it came to S | who has it | deliveries that stand in status S |
| `ended:S`, `durationS:S` | the same | who has it | those of them that were picked up and have ended |
| `left:S`, `inS:S` | on which it left S | who had it | spans in status S and their seconds |
| `assigned` | of the assignment | who got it | assignments |
| `failures` | of the failure | who had it | failed attempts |
| `onTime`, `early`, `late`, `lateS` | of the delivery | who has it | delivered with a time window |
| `firstAttempt` | of the delivery | who has it | delivered without a failure before |
| `estimated`, `actualS`, `estimatedS` | of the delivery | who has it | delivered with an estimate of the duration |
| `trips`, `drivenM`, `drivingS` | on which the trip began | who drove | trips |
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from engine.analytics.days import local_day
from models.documents.analytics import Cell, Cells, DayOfDriver, DeliveryStory, Step, TripSpan
from models.documents.delivery import CLOSED, Status

__all__ = ["cells_of_delivery", "cells_of_trips", "days_of_trips"]


@dataclass(slots=True)
class _Sheet:
    """Amounts of one delivery while its story is read."""

    zone: ZoneInfo
    route: str | None
    cells: defaultdict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, at: datetime.datetime, driver: str | None, **amounts: int) -> None:
        self.add_named(at, driver, amounts)

    def add_named(self, at: datetime.datetime, driver: str | None, amounts: dict[str, int]) -> None:
        self.cells[Cell(local_day(at, self.zone), driver, self.route)].update(amounts)

    def total(self) -> Cells:
        kept = {cell: {name: n for name, n in amounts.items() if n} for cell, amounts in self.cells.items()}
        return {cell: amounts for cell, amounts in kept.items() if amounts}


@dataclass(slots=True)
class _Attempt:
    """How far the present attempt has come."""

    picked_up: datetime.datetime | None = None
    arrived: datetime.datetime | None = None


def cells_of_delivery(story: DeliveryStory, zone: ZoneInfo) -> Cells:
    """Return what a delivery adds to the figures, by cell.

    Clocks of phones and servers differ, so that a step may bear an earlier time than the one before: it then took no
    time, and no duration is ever negative.
    """
    sheet = _Sheet(zone, story.route)
    sheet.add(story.created_at, None, created=1)
    status, since, driver = Status.PENDING, story.created_at, None
    attempt, failures = _Attempt(), 0
    for step in story.steps:
        reached = max(since, step.at)
        sheet.add_named(step.at, driver, {f"left:{status}": 1, f"inS:{status}": _seconds(since, reached)})
        if step.status is Status.ASSIGNED:
            sheet.add(step.at, step.driver, assigned=1)
        elif step.status is Status.FAILED:
            sheet.add(step.at, step.driver, failures=1)
            failures += 1
        _follow(attempt, step)
        status, since, driver = step.status, reached, step.driver
    last_at = story.steps[-1].at if story.steps else story.created_at
    sheet.add_named(last_at, story.driver, _standing(story, status, attempt, last_at))
    if status is Status.DELIVERED:
        sheet.add_named(last_at, story.driver, _outcome(story, attempt, last_at, failures))
    return sheet.total()


def cells_of_trips(day: DayOfDriver, trips: Iterable[TripSpan], zone: ZoneInfo) -> Cells:
    """Return what a driver's trips add to the figures of a day; those that began on another day add nothing."""
    amounts: Counter[str] = Counter()
    for trip in trips:
        if trip.driver == day.driver and _day_of(trip.from_ms, zone) == day.day:
            amounts["trips"] += 1
            amounts["drivenM"] += round(trip.distance_m)
            amounts["drivingS"] += max(0, round((trip.to_ms - trip.from_ms) / 1000))
    kept = {name: n for name, n in amounts.items() if n}
    return {Cell(day.day, day.driver, None): kept} if kept else {}


def days_of_trips(trips: Iterable[TripSpan], zone: ZoneInfo) -> dict[DayOfDriver, list[TripSpan]]:
    """Return trips by the driver's local day on which they began."""
    found: defaultdict[DayOfDriver, list[TripSpan]] = defaultdict(list)
    for trip in trips:
        found[DayOfDriver(trip.driver, _day_of(trip.from_ms, zone))].append(trip)
    return dict(found)


def _follow(attempt: _Attempt, step: Step) -> None:
    match step.status:
        case Status.ASSIGNED:
            attempt.picked_up = attempt.arrived = None
        case Status.PICKED_UP:
            attempt.picked_up = step.at
        case Status.ARRIVED:
            attempt.arrived = step.at


def _standing(story: DeliveryStory, status: Status, attempt: _Attempt, at: datetime.datetime) -> dict[str, int]:
    amounts = {f"count:{status}": 1}
    if story.direct_m is not None:
        amounts[f"directM:{status}"] = story.direct_m
    if status in CLOSED and attempt.picked_up is not None:
        amounts |= {f"ended:{status}": 1, f"durationS:{status}": _seconds(attempt.picked_up, at)}
    return amounts


def _outcome(story: DeliveryStory, attempt: _Attempt, at: datetime.datetime, failures: int) -> dict[str, int]:
    amounts = {"firstAttempt": int(failures == 0)}
    if story.window is not None:
        start, end = story.window
        # Who waits at the door for the recipient was there in time; who hands over before the window opens was not.
        came = min(attempt.arrived or at, at)
        if came > end:
            amounts |= {"late": 1, "lateS": _seconds(end, came)}
        else:
            amounts["early" if at < start else "onTime"] = 1
    estimated_s = _estimated_s(story, attempt)
    if estimated_s is not None and attempt.picked_up is not None:
        amounts |= {"estimated": 1, "estimatedS": estimated_s, "actualS": _seconds(attempt.picked_up, at)}
    return amounts


def _estimated_s(story: DeliveryStory, attempt: _Attempt) -> int | None:
    """Return how long it was expected to take from pickup to handover, seconds; None where nobody has said.

    The end of the time window is what the customer was told; a window that closed before the pickup estimates nothing.
    """
    if story.window is None or attempt.picked_up is None or attempt.picked_up >= story.window[1]:
        return None
    return _seconds(attempt.picked_up, story.window[1])


def _seconds(start: datetime.datetime, end: datetime.datetime) -> int:
    return max(0, round((end - start).total_seconds()))


def _day_of(time_ms: int, zone: ZoneInfo) -> str:
    return local_day(datetime.datetime.fromtimestamp(time_ms / 1000, tz=datetime.UTC), zone)
