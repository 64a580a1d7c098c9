"""Times of the day, as they stand on a door: in the company's own time zone, without a date."""

import datetime
from datetime import UTC
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field

from models.documents.document import Shape

__all__ = ["Clock", "DayWindow"]

Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["08:30"])]
"""Hours and minutes, `08:30`, in the tenant's time zone."""


class DayWindow(Shape):
    """A part of every day."""

    start: Clock
    end: Clock
    """At or before `start` means on the next day: `22:00` to `06:00` is a night, `00:00` to `00:00` a whole day."""

    def on(self, day: datetime.date, zone: ZoneInfo) -> tuple[datetime.datetime, datetime.datetime]:
        """Return when it begins and ends that begins on a day by the clocks of a zone.

        In UTC, because moments of one zone are subtracted as its clocks stand, an hour off where they are changed.
        """
        last = day + datetime.timedelta(days=1) if self.end <= self.start else day
        begins, ends = (
            datetime.datetime.combine(date, datetime.time.fromisoformat(clock), zone).astimezone(UTC)
            for date, clock in ((day, self.start), (last, self.end))
        )
        return begins, ends
