"""Times in queries: RFC 3339 or epoch milliseconds."""

import datetime
import re
from typing import Annotated, Any

from fastapi import Depends, Query

from models.documents.document import now
from models.errors import InvalidInput

__all__ = ["At", "Between", "Span", "TimeRange"]

TimeRange = tuple[int, int]
"""From and to, epoch milliseconds."""

MAX_RANGE_S = 48 * 3600
_DEFAULT_RANGE_S = 3600
_EPOCH_MS = re.compile(r"^\d{1,15}$")
_DESCRIPTION = "RFC 3339 or epoch milliseconds"
_SAID: dict[str, Any] = {
    "max_length": 40,
    "description": _DESCRIPTION,
    "json_schema_extra": {
        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": r"^\d{1,15}$"}]
    },
}


async def _span(
    start: Annotated[str | None, Query(alias="from", **_SAID)] = None,
    end: Annotated[str | None, Query(alias="to", **_SAID)] = None,
) -> TimeRange:
    to_ms = _moment("to", end) if end is not None else int(now().timestamp() * 1000)
    from_ms = _moment("from", start) if start is not None else to_ms - _DEFAULT_RANGE_S * 1000
    if from_ms > to_ms:
        raise InvalidInput("from lies after to", [("from", "lies after to")])
    return from_ms, to_ms


Span = Annotated[TimeRange, Depends(_span)]
"""The range `from`–`to` of the query, however long; the last hour where it names none."""


async def _between(span: Span) -> TimeRange:
    from_ms, to_ms = span
    if to_ms - from_ms > MAX_RANGE_S * 1000:
        raise InvalidInput(f"at most {MAX_RANGE_S // 3600} hours at once", [("from", "too long before to")])
    return span


Between = Annotated[TimeRange, Depends(_between)]
"""A `Span` that is not too long to be answered at once."""


async def _at(
    at: Annotated[str | None, Query(**_SAID)] = None,
) -> int | None:
    return None if at is None else _moment("at", at)


At = Annotated[int | None, Depends(_at)]
"""The instant `at` of the query, epoch milliseconds; None where it names none."""


def _moment(field: str, text: str) -> int:
    if _EPOCH_MS.match(text):
        return int(text)
    try:
        moment = datetime.datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as fault:
        raise InvalidInput(f"{field} is no time", [(field, _DESCRIPTION)]) from fault
    aware = moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    try:
        return int(aware.timestamp() * 1000)
    except (OverflowError, ValueError) as fault:
        raise InvalidInput(f"{field} is no time", [(field, _DESCRIPTION)]) from fault
