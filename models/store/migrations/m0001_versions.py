"""Every document that is changed by version has one; those of the first release began without."""

from collections.abc import Iterator
from typing import Any

from pymongo.database import Database

__all__ = ["dependencies", "downgrade", "name", "upgrade"]

name = "m0001_versions"
dependencies: list[str] = []

_VERSIONED = ("deliveries", "drivers", "geofences", "tenants", "users")


def upgrade(db: "Database[Any]") -> None:
    """Give version 1 to what has none."""
    for place in _places(db):
        for collection in _VERSIONED:
            place[collection].update_many({"version": None}, {"$set": {"version": 1}})


def downgrade(db: "Database[Any]") -> None:
    """Take version 1 away: the first release takes none for 1."""
    for place in _places(db):
        for collection in _VERSIONED:
            place[collection].update_many({"version": 1}, {"$unset": {"version": ""}})


def _places(db: "Database[Any]") -> Iterator["Database[Any]"]:
    """Yield the installation's database, and those of tenants that have their own."""
    yield db
    for other in db.client.list_database_names():
        if other.startswith(f"{db.name}-"):
            yield db.client[other]
