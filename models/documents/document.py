"""What all documents share: camelCase outside, snake_case inside, and the way to MongoDB and back."""

import datetime
from datetime import UTC
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

__all__ = ["Document", "Instant", "Latitude", "Line", "Longitude", "Shape", "now"]


def _utc(moment: datetime.datetime) -> datetime.datetime:
    if moment.tzinfo is not UTC:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    excess = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - excess) if excess else moment


Instant = Annotated[datetime.datetime, AfterValidator(_utc)]
"""A moment in UTC, in whole milliseconds as MongoDB keeps it; a time without a zone is taken as UTC."""

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
"""Degrees WGS 84."""

Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
"""Degrees WGS 84."""

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
"""One line of text without control characters."""


def now() -> datetime.datetime:
    """Return the present moment as an `Instant`."""
    return _utc(datetime.datetime.now(tz=UTC))


class Shape(BaseModel):
    """A part of a document or of a request: camelCase or snake_case in, camelCase out; unknown fields are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        allow_inf_nan=False,
        str_strip_whitespace=True,
        frozen=True,
        use_attribute_docstrings=True,
    )


class Document(Shape):
    """One document of a tenant. Never changed in place: a change makes a copy."""

    model_config = ConfigDict(extra="ignore")

    id: str
    """Prefixed sortable id."""
    tenant: str
    """Whose it is."""

    def stored(self) -> dict[str, Any]:
        """Return the document as MongoDB keeps it; what is unset stays out."""
        fields = self.model_dump(by_alias=True, exclude_none=True)
        return {"_id": fields.pop("id"), **fields}

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> Self:
        """Return the document that MongoDB kept as `fields`."""
        return cls.model_validate({**fields, "id": fields["_id"]})
