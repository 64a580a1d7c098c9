"""Cursor pages of lists. A cursor is the last id of a page, made opaque."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query

from models.documents.document import Document, Shape
from models.errors import InvalidInput
from models.store.paging import Page, PageRequest

__all__ = ["MAX_LIMIT", "PageOf", "Paging", "opaque", "page_of", "page_of_fields", "transparent"]

MAX_LIMIT = 200
"""Most items of one page."""
_ID = re.compile(r"^[a-z]{3}_[0-9a-z]{1,64}$")

ItemT = TypeVar("ItemT")
DocumentT = TypeVar("DocumentT", bound=Document)


class PageOf(Shape, Generic[ItemT]):
    """One page of a list."""

    items: list[ItemT]
    next: str | None = None
    """Cursor of the next page, if there is one."""


async def _paging(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=128, description="`next` of the page before")] = None,
) -> PageRequest:
    return PageRequest(limit, None if cursor is None else _decoded(cursor))


Paging = Annotated[PageRequest, Depends(_paging)]
"""The page that the query asks for."""


def page_of(page: Page[DocumentT], show: Callable[[DocumentT], Any]) -> dict[str, Any]:
    """Return a page of documents as it is answered, each as `show` gives it."""
    last = page.items[-1].id if page.more and page.items else None
    return {"items": [show(item) for item in page.items], "next": None if last is None else opaque(last)}


def page_of_fields(page: Page[dict[str, Any]], show: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Return a page of documents, given as MongoDB keeps them, as `page_of` does."""
    last = page.items[-1]["_id"] if page.more and page.items else None
    return {"items": [show(fields) for fields in page.items], "next": None if last is None else opaque(last)}


def opaque(text: str) -> str:
    """Return a text as a cursor."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def transparent(cursor: str) -> str:
    """Return the text that a cursor was made of.

    Raises
    ------
    InvalidInput
        If it is no cursor.
    """
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError) as fault:
        raise InvalidInput("the cursor is not one of ours", [("cursor", "not one of ours")]) from fault


def _decoded(cursor: str) -> str:
    identifier = transparent(cursor)
    if not _ID.match(identifier):
        raise InvalidInput("the cursor is not one of ours", [("cursor", "not one of ours")])
    return identifier
