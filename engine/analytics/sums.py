"""Differences between facts, and the buckets that they change.

Pure. What a bucket holds is the sum of the cells of all facts, so a fact that changes corrects its old buckets as
well as its new ones, in whatever order news come.
"""

from collections import defaultdict
from collections.abc import Iterable

from engine.analytics.days import month_of
from models.documents.analytics import Amounts, BucketKey, Cell, Cells

__all__ = ["add_to", "difference", "spread"]


def difference(before: Cells, after: Cells) -> Cells:
    """Return what has to be added to `before` to get `after`; nothing for equal ones."""
    found: dict[Cell, dict[str, int]] = {}
    for cell in before.keys() | after.keys():
        old, new = before.get(cell, {}), after.get(cell, {})
        changed = {name: new.get(name, 0) - old.get(name, 0) for name in old.keys() | new.keys()}
        if changed := {name: amount for name, amount in changed.items() if amount}:
            found[cell] = changed
    return found


def spread(changes: Iterable[Cells]) -> dict[BucketKey, dict[str, int]]:
    """Return what changes of cells add to each bucket."""
    buckets: defaultdict[BucketKey, dict[str, int]] = defaultdict(dict)
    for cells in changes:
        for cell, amounts in cells.items():
            for key in _buckets_of(cell):
                add_to(buckets[key], amounts)
    return dict(buckets)


def add_to(sums: dict[str, int], amounts: Amounts) -> None:
    """Add amounts to sums, in place."""
    for name, amount in amounts.items():
        sums[name] = sums.get(name, 0) + amount


def _buckets_of(cell: Cell) -> Iterable[BucketKey]:
    for period in (cell.day, month_of(cell.day)):
        yield BucketKey("fleet", "", period)
        if cell.driver is not None:
            yield BucketKey("driver", cell.driver, period)
        if cell.route is not None:
            yield BucketKey("route", cell.route, period)
