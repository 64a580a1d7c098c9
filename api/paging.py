"""Cursor pages of lists. A cursor is the place of a page's last item in the order, mostly its id, made opaque."""

import base64
import binascii
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, TypeVar

import bson
from fastapi import Depends, Query
from pydantic import ConfigDict, Field

from models.documents.document import Document, Shape
from models.errors import InvalidInput
from models.store.paging import Page, PageRequest

__all__ = ["MAX_LIMIT", "PageOf", "Paging", "cursor_of_raw", "opaque", "page_of", "paging_by", "transparent"]

MAX_LIMIT = 200
"""Most items of one page."""
_ID = re.compile(r"^[a-z]{3}_[0-9a-z]{1,64}$")

ItemT = TypeVar("ItemT")
DocumentT = TypeVar("DocumentT", bound=Document)


class PageOf(Shape, Generic[ItemT]):
    """One page of a list."""

    # Pydantic looks for the docstrings of a class made from this one through all that is loaded: 0.2 s each.
    model_config = ConfigDict(use_attribute_docstrings=False)

    items: list[ItemT]
    next: str | None = Field(None, description="Cursor of the next page, if there is one.")


def paging_by(place: re.Pattern[str]) -> Callable[..., Awaitable[PageRequest]]:
    """Return a dependency that gives the page the query asks for, of a list whose cursors hold what matches `place`."""

    async def paging(
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
        cursor: Annotated[str | None, Query(max_length=128, description="`next` of the page before")] = None,
    ) -> PageRequest:
        return PageRequest(limit, None if cursor is None else _decoded(cursor, place))

    return paging


Paging = Annotated[PageRequest, Depends(paging_by(_ID))]
"""The page that the query asks for, of a list in the order of its ids."""


def page_of(page: Page[DocumentT], show: Callable[[DocumentT], Any]) -> dict[str, Any]:
    """Return a page of documents as it is answered, each as `show` gives it."""
    last = page.items[-1].id if page.more and page.items else None
    return {"items": [show(item) for item in page.items], "next": None if last is None else opaque(last)}


def cursor_of_raw(page: Page[bytes]) -> str | None:
    """Return the cursor of the page after one whose items are bytes of BSON; None if it is the last."""
    return opaque(bson.decode(page.items[-1])["_id"]) if page.more and page.items else None


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


def _decoded(cursor: str, wanted: re.Pattern[str]) -> str:
    place = transparent(cursor)
    if not wanted.match(place):
        raise InvalidInput("the cursor is not one of ours", [("cursor", "not one of ours")])
    return place
