"""One page of a collection in the order of its ids."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from models.documents.document import Document

__all__ = ["Page", "PageRequest", "find_page", "read_page"]

ItemT = TypeVar("ItemT")
DocumentT = TypeVar("DocumentT", bound=Document)
Opened = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Makes of what MongoDB kept what it says, where personal data is sealed."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted."""

    limit: int
    after: str | None = None
    """The last id of the page before."""


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """Some documents and whether more follow."""

    items: Sequence[ItemT]
    more: bool


async def read_page(
    collection: Any,
    kind: type[DocumentT],
    query: dict[str, Any],
    page: PageRequest,
    *,
    newest_first: bool,
    opened: Opened | None = None,
) -> Page[DocumentT]:
    """Return one page of `collection`; ids sort by time, so the order stays stable while documents come in."""
    found = await find_page(collection, query, page, newest_first=newest_first, opened=opened)
    return Page([kind.restored(fields) for fields in found.items], found.more)


async def find_page(
    collection: Any, query: dict[str, Any], page: PageRequest, *, newest_first: bool, opened: Opened | None = None
) -> Page[dict[str, Any]]:
    """Return one page of `collection` as MongoDB keeps it, opened."""
    if page.after is not None:
        query = {**query, "_id": {"$lt" if newest_first else "$gt": page.after}}
    # without a limit MongoDB would hand over its first hundred, however few are wanted
    found = await collection.find(query).sort("_id", -1 if newest_first else 1).limit(page.limit + 1).to_list(None)
    more, found = len(found) > page.limit, found[: page.limit]
    if opened is not None:
        found = [await opened(fields) for fields in found]
    return Page(found, more)
