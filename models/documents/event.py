"""An event: something that happened, told once and never changed."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from models.documents.document import Document, Instant

__all__ = ["SCHEMA_VERSION", "Event"]

SCHEMA_VERSION = 1


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
    actor: str = "engine"
    """User, key or `engine`."""
    data: Annotated[dict[str, Any], AfterValidator(_plain)] = Field(default_factory=dict)
    number: int | None = None
    """Its place in the feed of the whole installation, given soon after it is stored (`models.store.events`)."""

    def announced(self) -> dict[str, Any]:
        """Return the event for the wire: the same fields, times as epoch milliseconds."""
        fields = self.model_dump(by_alias=True, exclude={"number"})
        return {**fields, "time": int(self.time.timestamp() * 1000)}
