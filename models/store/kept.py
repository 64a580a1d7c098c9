"""What a process may keep of MongoDB so that it need not read it each time, and how repositories ask for it."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from models.documents.document import Document
from models.store.paging import Page, PageRequest

__all__ = ["KeptDocuments", "KeptGroup", "page_key", "page_restored", "page_stored"]

KeptGroup = Literal["tenant", "fleet", "geofences", "webhooks", "rules"]
"""What is kept of a tenant, and forgotten, together: its settings; its vehicles, depots and closures; and so on."""

T = TypeVar("T")
DocumentT = TypeVar("DocumentT", bound=Document)


class KeptDocuments(Protocol):
    """Documents that a process keeps, and pages of them."""

    async def get(
        self,
        group: KeptGroup,
        tenant: str,
        key: str,
        read: Callable[[], Awaitable[Mapping[str, Any]]],
        restored: Callable[[Mapping[str, Any]], T],
    ) -> T:
        """Return something of a group as it was after this call began, by `read` if need be.

        Parameters
        ----------
        key
            Names it in its group.
        read
            Reads what BSON can hold from MongoDB; what it raises goes on.
        restored
            Makes of it what is returned; the same object may be returned again.
        """

    async def renew(self, group: KeptGroup, tenant: str) -> None:
        """Let every process read a tenant's group anew; after a write and before its answer."""


def page_key(collection: str, page: PageRequest, wanted: Mapping[str, Any]) -> str:
    """Return the key of a page of a collection; `wanted` says by what the collection is filtered."""
    text = repr((page.limit, page.after, sorted((name, value) for name, value in wanted.items() if value is not None)))
    return f"{collection}/{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def page_stored(page: Page[DocumentT]) -> dict[str, Any]:
    """Return a page in a form that can be kept."""
    return {"items": [item.stored() for item in page.items], "more": page.more}


def page_restored(kind: type[DocumentT]) -> Callable[[Mapping[str, Any]], Page[DocumentT]]:
    """Return what makes a page of documents of that form."""
    return lambda fields: Page([kind.restored(item) for item in fields["items"]], fields["more"])
