"""`ETag` and `If-Match` (RFC 9110, sections 8.8.3 and 13.1.1): the version of a thing as a header, `"7"` for version 7.

A lost race is answered as one by the body's version is: 409 with the current version, so that clients have one case.
"""

import re
from typing import Annotated

from fastapi import Header
from fastapi.responses import Response

from models.errors import InvalidInput

__all__ = ["IfMatch", "seen_version", "tag"]

_TAG = re.compile(r'^(?:W/)?"?([1-9][0-9]{0,17})"?$')

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` that the caller has seen",
        examples=['"3"'],
        json_schema_extra={"pattern": r'^(\*|(W/)?"?[1-9][0-9]{0,17}"?)$'},
    ),
]
"""The version that a caller has seen, as a header."""


def tag(response: Response, version: int) -> None:
    """Put a version on an answer."""
    response.headers["ETag"] = f'"{version}"'


def seen_version(if_match: str | None, version: int | None = None) -> int | None:
    """Return the version that the caller says it has seen, by header or body; None where it says nothing.

    Raises
    ------
    InvalidInput
        If the header is no tag of ours, or says another version than the body.
    """
    if if_match is None or if_match.strip() == "*":
        return version
    found = _TAG.match(if_match.strip())
    if found is None:
        raise InvalidInput("If-Match is no ETag of ours", [("If-Match", "not one of ours")])
    if version is not None and version != int(found[1]):
        raise InvalidInput("If-Match and version name two versions", [("version", "differs from If-Match")])
    return int(found[1])
