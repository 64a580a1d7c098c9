"""What all documents share: camelCase outside, snake_case inside, and the way to MongoDB and back."""

import datetime
import re
from collections.abc import Mapping
from datetime import UTC
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

__all__ = ["Departure", "Document", "Flag", "Instant", "Latitude", "Line", "Longitude", "Shape", "now"]

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_MS = re.compile(r"^[0-9]{1,15}$")
_RFC_3339 = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")
_LAST_MS = 253_402_300_799_999


def _read(value: object) -> object:
    """Return what may be a time: a number is epoch milliseconds, as a text of digits is in a query."""
    if isinstance(value, str):
        if _EPOCH_MS.match(value):
            value = int(value)
        elif not _RFC_3339.match(value):
            raise ValueError("a time is RFC 3339, or epoch milliseconds")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value <= _LAST_MS or value != int(value):
            raise ValueError("epoch milliseconds are a whole number, and of a year up to 9999")
        return _EPOCH + datetime.timedelta(milliseconds=int(value))
    return value


def _utc(moment: datetime.datetime) -> datetime.datetime:
    if moment.tzinfo is not UTC:
        try:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except OverflowError as fault:
            raise ValueError("in UTC this time is out of range") from fault
    excess = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - excess) if excess else moment


Instant = Annotated[
    datetime.datetime,
    BeforeValidator(_read),
    AfterValidator(_utc),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0, "maximum": _LAST_MS}]},
        mode="validation",
    ),
]
"""A moment in UTC, in whole milliseconds as MongoDB keeps it; a time without a zone is taken as UTC.

It comes in as RFC 3339 or as epoch milliseconds, and goes out as RFC 3339.
"""

_LAST_YEAR = 2999


def _foreseeable(moment: datetime.datetime) -> datetime.datetime:
    if moment.year > _LAST_YEAR:
        raise ValueError(f"lies after the year {_LAST_YEAR}")
    return moment


Departure = Annotated[Instant, AfterValidator(_foreseeable)]
"""An `Instant` after which something lasts: its end is a moment too."""

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
"""Degrees WGS 84."""

Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
"""Degrees WGS 84."""

Flag = Annotated[bool, Strict()]
"""Yes or no, and no number or word that could be meant so."""

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
"""One line of text without control characters."""


def now() -> datetime.datetime:
    """Return the present moment as an `Instant`."""
    return _utc(datetime.datetime.now(tz=UTC))


_NO_PARTS = frozenset({"metadata", "serialization", "default", "ref"})


def _firm(schema: Any) -> Any:
    """Return a core schema in which whatever takes a number refuses a flag; parts that are shared stay."""
    if isinstance(schema, list):
        return [_firm(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") in ("int", "float"):
        return core_schema.no_info_before_validator_function(_no_flag, schema)
    return {name: part if name in _NO_PARTS else _firm(part) for name, part in schema.items()}


def _no_flag(value: object) -> object:
    if value is True or value is False:
        raise ValueError("a number is needed, and no true or false")
    return value


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

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take no `true` or `false` where a number is meant, which pydantic would count as 1 and 0."""
        firm: CoreSchema = _firm(handler(source))
        return firm


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
    def restored(cls, fields: Mapping[str, Any]) -> Self:
        """Return the document that MongoDB kept as `fields`."""
        return cls.model_validate({**fields, "id": fields["_id"]})
