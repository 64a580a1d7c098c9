"""Optimistic concurrency: a document is replaced or deleted only at the version that the change was decided on."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pymongo import ReplaceOne

from models.errors import VersionConflict
from models.store.transactions import Session

__all__ = ["Versioned", "delete_at", "replace_at", "replace_many_at"]


class Versioned(Protocol):
    """A document whose version rises with every change."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def tenant(self) -> str:
        """Whose it is."""

    @property
    def version(self) -> int:
        """Its version."""

    def stored(self) -> dict[str, Any]:
        """Return it as MongoDB keeps it."""


async def replace_at(
    collection: Any,
    document: Versioned,
    expected: int,
    session: Session,
    fields: Mapping[str, Any] | None = None,
) -> None:
    """Store a changed document, if it still is at version `expected`; as `fields`, where those are sealed.

    Raises
    ------
    VersionConflict
        If somebody was faster.
    """
    wanted = document.stored() if fields is None else fields
    swapped = await collection.replace_one(_at(document, expected), wanted, session=session)
    if swapped.matched_count == 0:
        raise VersionConflict(document.id, expected, await _version(collection, document, session))


async def replace_many_at(
    collection: Any, changed: Sequence[tuple[Versioned, int, Mapping[str, Any]]], session: Session
) -> None:
    """Store changed documents in one round trip, if each still is at the version that its change was decided on.

    Parameters
    ----------
    changed
        Each document, that version, and the document as MongoDB keeps it.

    Raises
    ------
    VersionConflict
        If somebody was faster with one of them.
    """
    if not changed:
        return
    writes = [ReplaceOne(_at(document, expected), fields) for document, expected, fields in changed]
    done = await collection.bulk_write(writes, ordered=False, session=session)
    if done.matched_count == len(changed):
        return
    for document, expected, _ in changed:
        if (current := await _version(collection, document, session)) != document.version:
            raise VersionConflict(document.id, expected, current)


async def delete_at(collection: Any, document: Versioned, session: Session) -> None:
    """Delete a document, if it still is at its version.

    Raises
    ------
    VersionConflict
        If somebody has changed or deleted it.
    """
    gone = await collection.delete_one(_at(document, document.version), session=session)
    if gone.deleted_count == 0:
        raise VersionConflict(document.id, document.version, await _version(collection, document, session))


def _at(document: Versioned, version: int) -> dict[str, Any]:
    return {"_id": document.id, "tenant": document.tenant, "version": version}


async def _version(collection: Any, document: Versioned, session: Session) -> int:
    """Return the version that is stored, 0 for a document that is gone."""
    query = {"_id": document.id, "tenant": document.tenant}
    found = await collection.find_one(query, {"version": 1}, session=session)
    return int(found["version"]) if found else 0
