"""The newest state of every driver of a tenant, with a version per row. Pure: no socket, no clock.

Conflation is this table: a subscriber remembers the version up to which it has been served, and whatever changed since
is its next frame, however many changes there were. Nothing is queued per subscriber, so a slow one costs no memory,
holds nobody up, and still gets the last state.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.messages.live import LIVE
from models.messages.records import put_records, take_records

__all__ = ["FleetState"]

_START_ROWS = 64
_WORDS = LIVE.itemsize // 8  # a record as 64-bit words, for a quick comparison


class FleetState:
    """A tenant's drivers in rows that never move; row order is the order in which drivers were first seen."""

    __slots__ = (
        "_erased",
        "_numbers",
        "_owner",
        "_rows",
        "ids",
        "name_versions",
        "names",
        "records",
        "shown",
        "size",
        "version",
        "versions",
    )

    def __init__(self) -> None:
        self.size = 0
        self.version = 0
        """Rises with each change of anything."""
        self.records = np.zeros(_START_ROWS, LIVE)
        self.versions = np.zeros(_START_ROWS, np.int64)
        """Version at which each row last changed."""
        self.shown = np.zeros(_START_ROWS, np.bool_)
        """Whether the driver's name is known and it has not been deleted: only such rows are sent."""
        self.name_versions = np.zeros(_START_ROWS, np.int64)
        """Version at which each row got its present name."""
        self.ids: list[str] = []
        self.names: list[str] = []
        self._owner = np.full(_START_ROWS, -1, np.int32)
        self._erased: set[int] = set()
        self._numbers: NDArray[np.uint32] = np.zeros(0, np.uint32)  # sorted, with the row of each in `_rows`
        self._rows: NDArray[np.int64] = np.zeros(0, np.int64)

    def apply(self, records: NDArray[np.void], shard: int) -> list[int]:
        """Take `LIVE` records published by a shard; the newer of each driver wins.

        What one shard says comes in order, so its own later word always counts; against another shard's (a partition
        has just moved) the later fix time counts.

        Returns
        -------
        list of int
            Numbers seen for the first time: they are not shown until they are named.
        """
        if not len(records):
            return []
        rows, fresh = self._rows_of(records["driver"])
        stored = take_records(self.records, rows)
        newer = (self._owner[rows] == shard) | (records["time"] >= stored["time"])
        differs = (_words(records) != _words(stored)).any(axis=1)
        self._owner[rows[newer]] = shard
        keep = newer & differs
        if keep.any():
            self.version += 1
            taken = rows[keep]
            put_records(self.records, taken, take_records(records, keep))
            self.versions[taken] = self.version
            if self._erased and (back := self._erased.intersection(taken.tolist())):
                self.shown[list(back)] = True
                self._erased -= back
        return fresh

    def name(self, entries: Sequence[tuple[int, str, str]]) -> None:
        """Give drivers of the table their id and name, as (number, id, name), and show them."""
        self.version += 1
        rows, _ = self._rows_of(np.array([number for number, _, _ in entries], np.uint32))
        for row, (_, identifier, name) in zip(rows.tolist(), entries, strict=True):
            self.ids[row], self.names[row] = identifier, name
        self.shown[rows] = True
        self.versions[rows] = self.name_versions[rows] = self.version

    def hide(self, number: int) -> None:
        """Stop showing a driver: it was deleted."""
        row = self.row_of(number)
        if row >= 0 and self.shown[row]:
            self.version += 1
            self.shown[row] = False
            self.versions[row] = self.version

    def erase(self, number: int) -> None:
        """Forget where a driver has been, and show it again when it says where it is."""
        row = self.row_of(number)
        if row >= 0:
            if self.shown[row]:
                self._erased.add(row)
            self.hide(number)
            blank = np.zeros((), LIVE)
            blank["driver"] = number
            self.records[row] = blank

    def row_of(self, number: int) -> int:
        """Return the row of a driver's number, or -1."""
        at = int(np.searchsorted(self._numbers, np.uint32(number)))
        return int(self._rows[at]) if at < self.size and self._numbers[at] == number else -1

    def changed_since(self, seen: int) -> NDArray[np.int64]:
        """Return the rows that changed after version `seen`, in row order."""
        return np.flatnonzero(self.versions[: self.size] > seen)

    def unnamed(self) -> list[int]:
        """Return the numbers of drivers that have never had a name."""
        size = self.size
        waiting = np.flatnonzero(self.name_versions[:size] == 0)
        return [int(number) for number in self.records["driver"][waiting]]

    def _rows_of(self, numbers: NDArray[np.uint32]) -> tuple[NDArray[np.int64], list[int]]:
        at = np.searchsorted(self._numbers, numbers)
        known = np.zeros(len(numbers), np.bool_)
        if self.size:
            at = np.minimum(at, self.size - 1)
            known = self._numbers[at] == numbers
        if known.all():
            return self._rows[at], []
        fresh = np.unique(numbers[~known])
        self._add(fresh)
        return self._rows[np.searchsorted(self._numbers, numbers)], [int(number) for number in fresh]

    def _add(self, fresh: NDArray[np.uint32]) -> None:
        first, self.size = self.size, self.size + len(fresh)
        while self.size > len(self.records):
            self._grow()
        rows = np.arange(first, self.size)
        self.records["driver"][rows] = fresh
        self.records["time"][rows] = np.iinfo(np.int64).min
        self.ids.extend([""] * len(fresh))
        self.names.extend([""] * len(fresh))
        numbers = np.concatenate((self._numbers, fresh))
        order = np.argsort(numbers, kind="stable")
        self._numbers = numbers[order]
        self._rows = np.concatenate((self._rows, rows))[order]

    def _grow(self) -> None:
        for field in ("records", "versions", "shown", "name_versions", "_owner"):
            column = getattr(self, field)
            setattr(self, field, np.concatenate((column, np.zeros_like(column))))
        self._owner[len(self._owner) // 2 :] = -1


def _words(records: NDArray[np.void]) -> NDArray[np.uint64]:
    return np.ascontiguousarray(records).view(np.uint64).reshape(-1, _WORDS)
