"""Quiet hours: until when a message has to wait. Pure; hours are those of the clock on the tenant's wall."""

import datetime
from datetime import UTC
from zoneinfo import ZoneInfo

from models.documents.tenant import QuietHours

__all__ = ["quiet_until"]


def quiet_until(moment: datetime.datetime, hours: QuietHours | None, zone: str) -> datetime.datetime | None:
    """Return the instant at which the quiet hours that `moment` lies in are over; None if it lies in none."""
    if hours is None:
        return None
    local = moment.astimezone(ZoneInfo(zone))
    start, end = datetime.time.fromisoformat(hours.start), datetime.time.fromisoformat(hours.end)
    time = local.time()
    passes_midnight = start > end
    is_quiet = (time >= start or time < end) if passes_midnight else start <= time < end
    if not is_quiet:
        return None
    day = local.date() + datetime.timedelta(days=1) if passes_midnight and time >= start else local.date()
    # with the clock put back, an hour comes twice: the end is the one that still lies ahead
    over = datetime.datetime.combine(day, end, ZoneInfo(zone))
    ends = [over.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    return next((one for one in ends if one > moment), None)
