"""Tasks are looked for by when they are due, all kinds in one look: the index by kind is no longer needed."""

import contextlib
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure

__all__ = ["dependencies", "downgrade", "name", "upgrade"]

name = "m0004_due_tasks"
dependencies = ["m0003_fewer_indexes"]

_OLD = "due-by-lane"


def upgrade(db: "Database[Any]") -> None:
    """Drop it where it is."""
    with contextlib.suppress(OperationFailure):  # there is no such index, or not even the collection
        db["tasks"].drop_index(_OLD)


def downgrade(db: "Database[Any]") -> None:
    """Make it again."""
    keys = [("kind", 1), ("due", 1), ("lane", 1)]
    db["tasks"].create_index(keys, name=_OLD, partialFilterExpression={"state": "waiting"})
