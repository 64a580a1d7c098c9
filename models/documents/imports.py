"""An import: a file of deliveries, what was to become of each row, and how far that has come."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from models.documents.delivery import Delivery
from models.documents.document import Document, Instant, Shape, now

__all__ = ["FieldFault", "Import", "ImportEntry", "ImportOutcome", "ImportRow"]

ImportOutcome = Literal["created", "updated", "skipped", "failed"]


class FieldFault(Shape):
    """What is wrong with one field of a row."""

    field: str
    """Path of the field, `dropoff.latitude`; empty where the row as a whole is wrong."""
    detail: str


class ImportRow(Shape):
    """What became of one row."""

    row: int
    """As a spreadsheet counts: the heading is row 1. In JSON lines: the line."""
    outcome: ImportOutcome
    id: str | None = None
    """The delivery that was made of it, or that it is about."""
    reference: str | None = None
    located: bool | None = None
    """False for a delivery whose address is still to be found on the map, which happens by itself afterwards."""
    errors: tuple[FieldFault, ...] = ()
    """Why it failed, or why it was skipped."""


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """One delivery that an import creates or updates."""

    place: int
    """Its place among the import's rows."""
    delivery: Delivery
    """As it is to be."""
    changes: tuple[str, ...] | None = None
    """Names of the fields in which one that exists takes this form; None for a new one."""
    driver: str | None = None
    """Who shall have it."""


class Import(Document):
    """An import of a tenant. Its rows are put away in parts, each in one transaction; it is `done` after the last."""

    actor: str
    """Who asked for it."""
    key: str | None = None
    """Digest of the `Idempotency-Key` that it came with: a second try finds what the first began."""
    state: Literal["running", "done"] = "running"
    rows: tuple[ImportRow, ...] = ()
    created_at: Instant = Field(default_factory=now)
    ended_at: Instant | None = None
