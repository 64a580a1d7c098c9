"""An audit entry: who changed what, when, and how it was before."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.documents.document import Document, Instant, Shape
from models.documents.event import Event
from models.ids import new_id

__all__ = ["AuditEntry", "FieldChange", "audit_entry"]

_UNSAID = frozenset(
    {"_id", "tenant", "version", "updatedAt", "history", "passwordHash", "digest", "secrets", "tokensSince"}
)
"""Fields that never come into the log: secrets, and what only says that something changed."""


class FieldChange(Shape):
    """One field of a document before and after a change; none where it was or is unset."""

    field: str
    """Path, such as `dropoff.address`."""
    before: Any = None
    after: Any = None


class AuditEntry(Document):
    """One change of one document."""

    at: Instant
    actor: str
    """User, key or `engine`."""
    action: str
    """Type of the event, such as `delivery.assigned`."""
    entity: str
    """Id of what changed."""
    event: str
    """Id of the event that tells of it."""
    changes: tuple[FieldChange, ...] = ()


def audit_entry(event: Event, was: Mapping[str, Any], becomes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the audit log says of a change, as MongoDB keeps it.

    Parameters
    ----------
    was, becomes
        The document as MongoDB keeps it, in clear; empty where there was none.
    """
    differing = [name for name in was.keys() | becomes.keys() if was.get(name) != becomes.get(name)]
    old, new = (dict(_leaves({name: form[name] for name in differing if name in form})) for form in (was, becomes))
    return {
        "_id": new_id("aud"),
        "tenant": event.tenant,
        "at": event.time,
        "actor": event.actor,
        "action": event.type,
        "entity": event.aggregate,
        "event": event.id,
        "changes": [
            _change(field, old.get(field), new.get(field))
            for field in sorted(old.keys() | new.keys())
            if old.get(field) != new.get(field)
        ],
    }


def _change(field: str, before: Any, after: Any) -> dict[str, Any]:
    sides = {"before": before, "after": after}
    return {"field": field} | {side: value for side, value in sides.items() if value is not None}


def _leaves(fields: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if not path and name in _UNSAID:
            continue
        if type(value) is dict:  # as documents are stored; a look at its class alone, for each field of each change
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
