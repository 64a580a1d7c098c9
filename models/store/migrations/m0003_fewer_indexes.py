"""Indexes of events that no query needs: each costs every event that is stored."""

import contextlib
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

__all__ = ["dependencies", "downgrade", "name", "upgrade"]

name = "m0003_fewer_indexes"
dependencies = ["m0002_event_queue"]

_DROPPED: tuple[list[tuple[str, int]], ...] = (
    [("tenant", 1), ("_id", 1)],
    [("tenant", 1), ("time", 1), ("number", 1)],
)


def upgrade(db: "Database[Any]") -> None:
    """Drop them where they are."""
    for keys in _DROPPED:
        with contextlib.suppress(OperationFailure):  # there is no such index, or not even the collection
            db["events"].drop_index(keys)


def downgrade(db: "Database[Any]") -> None:
    """Make them again."""
    for keys in _DROPPED:
        db["events"].create_index(keys)
