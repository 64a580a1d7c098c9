"""What a query finds, in one command: for few documents, which is what is asked for most often.

A cursor does the same, and PyMongo takes a third of the whole time to make one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo.errors import AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError

if TYPE_CHECKING:
    from pymongo.collection import Collection

__all__ = ["find_at_once"]


def find_at_once(
    collection: "Collection[Any]", query: Mapping[str, Any], most: int, sort: Mapping[str, int] | None = None
) -> list[Any]:
    """Return up to `most` documents that a query finds, blocking, decoded as the collection says."""
    command = {"find": collection.name, "filter": query, "limit": most, "batchSize": most}
    if sort is not None:
        command["sort"] = sort
    try:
        cursor = collection.database.command(command, codec_options=collection.codec_options)["cursor"]
        if not cursor["id"]:
            return list(cursor["firstBatch"])
    except AutoReconnect as fault:
        if isinstance(fault, ServerSelectionTimeoutError | NetworkTimeout):
            raise  # nobody waits as long once more
    # too much for one answer, or the connection was lost: a cursor reads on, and asks again by itself
    found = collection.find(query).limit(most)
    return list(found if sort is None else found.sort(list(sort.items())))
