"""One page of a collection in the order of its ids."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from models.documents.document import Document

__all__ = ["Page", "PageRequest", "read_page"]

DocumentT = TypeVar("DocumentT", bound=Document)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted."""

    limit: int
    after: str | None = None
    """The last id of the page before."""


@dataclass(frozen=True, slots=True)
class Page(Generic[DocumentT]):
    """Some documents and whether more follow."""

    items: Sequence[DocumentT]
    more: bool


async def read_page(
    collection: Any,
    kind: type[DocumentT],
    query: dict[str, Any],
    page: PageRequest,
    *,
    newest_first: bool,
    opened: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]] | None = None,
) -> Page[DocumentT]:
    """Return one page of `collection`; ids sort by time, so the order stays stable while documents come in.

    `opened` makes of what MongoDB kept what it says, where personal data is sealed.
    """
    if page.after is not None:
        query = {**query, "_id": {"$lt" if newest_first else "$gt": page.after}}
    # without a limit MongoDB would hand over its first hundred, however few are wanted
    found = await collection.find(query).sort("_id", -1 if newest_first else 1).limit(page.limit + 1).to_list(None)
    more, found = len(found) > page.limit, found[: page.limit]
    if opened is not None:
        found = [await opened(fields) for fields in found]
    return Page([kind.restored(fields) for fields in found], more)
