"""Who had a delivery, and when.

Pure: from the status changes of the document.
"""

from dataclasses import dataclass
from itertools import pairwise

from models.documents.delivery import CLOSED, Delivery

__all__ = ["Span", "spans_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """One driver had the delivery in `[from_ms, to_ms]`, epoch milliseconds."""

    driver: str
    from_ms: int
    to_ms: int


def spans_of(delivery: Delivery, from_ms: int, to_ms: int) -> list[Span]:
    """Return who had a delivery within `[from_ms, to_ms]`, in order of time.

    A driver has it from its assignment to the change that takes it away or closes it.
    """
    changes = [(int(change.at.timestamp() * 1000), change.driver, change.status) for change in delivery.history]
    spans: list[Span] = []
    for (start_ms, driver, status), (end_ms, *_) in pairwise([*changes, (to_ms, None, None)]):
        if driver is None or status in CLOSED or start_ms > to_ms or end_ms < from_ms:
            continue
        start_ms, end_ms = max(start_ms, from_ms), min(end_ms, to_ms)
        if spans and spans[-1].driver == driver and spans[-1].to_ms == start_ms:
            start_ms = spans.pop().from_ms
        spans.append(Span(driver, start_ms, end_ms))
    return spans
