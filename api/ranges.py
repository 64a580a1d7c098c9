"""`Range` requests (RFC 9110, section 14): which bytes of something an answer holds. One range; several get it all."""

import re

from models.errors import UnknownRange

__all__ = ["wanted_range"]

_RANGE = re.compile(r"^bytes=\s*(\d{0,15})-(\d{0,15})\s*$")


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the bytes `[start, end)` that a `Range` header wants; None for all.

    Raises
    ------
    UnknownRange
        If nothing of it is there.
    """
    found = _RANGE.match(header or "")
    if found is None or not (found[1] or found[2]):
        return None  # what can't be read counts as not sent
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), size if not found[2] else min(int(found[2]) + 1, size)
        if found[2] and int(found[2]) < int(found[1]):
            return None
    if start >= end:
        raise UnknownRange(size)
    return start, end
