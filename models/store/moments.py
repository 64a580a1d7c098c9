"""Moments of documents that are read often: decoded without their zone, and given it here.

PyMongo takes 1.5 µs to decode a moment with a zone of its own making, and whoever writes it out pays for that zone
again; without one it takes a fifth. A delivery that was handed over has a dozen.
"""

import datetime
from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any, get_args

from bson.codec_options import CodecOptions

from models.documents.document import Shape

__all__ = ["UNZONED", "Moments", "give_zone", "moments_of"]

UNZONED: "CodecOptions[dict[str, Any]]" = CodecOptions(tz_aware=False)
"""Decodes moments as UTC without saying so."""

Moments = Mapping[str, "Moments | None"]
"""Where a document has moments: by field none, or where they are in it; a path goes through all items of a list."""


def moments_of(shape: type[Shape]) -> Moments:
    """Return where documents of a shape have moments, by the names under which they are stored."""
    found: dict[str, Moments | None] = {}
    for name, field in shape.model_fields.items():
        for kind in _kinds(field.annotation):
            if issubclass(kind, datetime.datetime):
                found[field.alias or name] = None
            elif issubclass(kind, Shape) and (inner := moments_of(kind)):
                found[field.alias or name] = inner
    return found


def give_zone(fields: dict[str, Any], moments: Moments) -> dict[str, Any]:
    """Say of the moments in a document that they are UTC, in place, and return it."""
    for name, inner in moments.items():
        value = fields.get(name)
        if value is None:
            continue
        if inner is None:
            fields[name] = value.replace(tzinfo=UTC)
        elif type(value) is dict:
            give_zone(value, inner)
        else:
            for item in value:
                give_zone(item, inner)
    return fields


def _kinds(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation names, however deep."""
    if isinstance(annotation, type):
        yield annotation
    for part in get_args(annotation):
        yield from _kinds(part)
