"""An event: something that happened, told once and never changed."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, cast

from pydantic import AfterValidator, Field

from models.documents.document import Document, Instant

__all__ = ["ENGINE", "SCHEMA_VERSION", "Event"]

SCHEMA_VERSION = 1
ENGINE = "engine"
"""The actor of what nobody asked for."""


def _plain(value: Any) -> Any:
    """Return a value without BSON's own whole numbers, which no other encoding has a form for."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, int) and type(value) not in (int, bool) else value


class Event(Document):
    """What happened to one thing (its aggregate)."""

    time: Instant
    type: str
    """Such as `delivery.assigned`."""
    aggregate: str
    """Id of what it happened to."""
    sequence: int
    """Its number among the events of the aggregate, from 1."""
    schema_version: int = Field(SCHEMA_VERSION, alias="schema")
    actor: str = ENGINE
    """User, key or `engine`."""
    data: Annotated[dict[str, Any], AfterValidator(_plain)] = Field(default_factory=dict)
    number: int | None = None
    """Its place in the feed of the whole installation, given soon after it is stored (`models.store.events`)."""

    @classmethod
    def restored(cls, fields: Mapping[str, Any]) -> Self:
        """Return the event that MongoDB kept as `fields`; it was checked when it was made, and there are many."""
        number = fields.get("number")
        made = cls.model_construct(
            id=fields["_id"],
            tenant=fields["tenant"],
            time=fields["time"],
            type=fields["type"],
            aggregate=fields["aggregate"],
            sequence=int(fields["sequence"]),
            schema_version=int(fields.get("schema", SCHEMA_VERSION)),
            actor=fields.get("actor", ENGINE),
            data=_plain(fields.get("data", {})),
            number=None if number is None else int(number),
        )
        return cast("Self", made)

    def announced(self) -> dict[str, Any]:
        """Return the event for the wire: the same fields, times as epoch milliseconds."""
        fields = self.model_dump(by_alias=True, exclude={"number"})
        return {**fields, "time": int(self.time.timestamp() * 1000)}
