"""One page of a collection in the order of its ids."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from models.documents.document import Document
from models.store.at_once import find_at_once

if TYPE_CHECKING:
    from pymongo.collection import Collection

__all__ = ["Page", "PageRequest", "find_raw_page", "read_page"]

_UNREAD: "CodecOptions[RawBSONDocument]" = CodecOptions(document_class=RawBSONDocument)

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
    # without a limit MongoDB would hand over its first hundred, however few are wanted
    cursor = collection.find(_after(query, page, newest_first)).sort("_id", -1 if newest_first else 1)
    found = await cursor.limit(page.limit + 1).to_list(None)
    more, found = len(found) > page.limit, found[: page.limit]
    if opened is not None:
        found = [await opened(fields) for fields in found]
    return Page([kind.restored(fields) for fields in found], more)


def find_raw_page(
    collection: "Collection[Any]", query: dict[str, Any], page: PageRequest, newest_first: bool
) -> Page[bytes]:
    """Return the same page as `read_page`, blocking, as bytes of BSON that nobody has decoded."""
    unread = collection.with_options(codec_options=_UNREAD)
    sort = {"_id": -1 if newest_first else 1}
    documents = find_at_once(unread, _after(query, page, newest_first), page.limit + 1, sort)
    found = [bytes(document.raw) for document in documents]
    return Page(found[: page.limit], len(found) > page.limit)


def _after(query: dict[str, Any], page: PageRequest, newest_first: bool) -> dict[str, Any]:
    """Return what finds those behind the page before."""
    return query if page.after is None else {**query, "_id": {"$lt" if newest_first else "$gt": page.after}}
