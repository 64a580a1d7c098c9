"""Content of files in an object store (S3, Google Cloud, Azure) or a folder, by the address of it."""

from obstore import delete_async, get_range_async, put_async
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from models.errors import BadSettings, StoreUnavailable

__all__ = ["ObjectContent"]

_FOLDER = "file://"
_AWAY = "the store of files does not answer"


class ObjectContent:
    """Content under an address such as `s3://bucket/folder` or `file:///srv/proofs`; rights come by the environment.

    Raises
    ------
    BadSettings
        If the address can't work.
    """

    def __init__(self, url: str) -> None:
        try:
            folder = url.removeprefix(_FOLDER)
            self._store = LocalStore(folder, mkdir=True) if url.startswith(_FOLDER) else from_url(url)
        except (BaseError, ValueError, OSError) as fault:
            raise BadSettings(f"OUTRIDER_PROOFS__STORE can't be used: {fault}") from fault

    async def put(self, key: str, data: bytes) -> None:
        """Store `data`, in place of what was there."""
        try:
            await put_async(self._store, key, data)
        except BaseError as fault:
            raise StoreUnavailable(_AWAY, 2.0) from fault

    async def read(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes in `[start, end)`."""
        try:
            return bytes(await get_range_async(self._store, key, start=start, end=end))
        except BaseError as fault:
            raise StoreUnavailable(_AWAY, 2.0) from fault

    async def delete(self, key: str) -> None:
        """Drop what is there, if anything."""
        try:
            await delete_async(self._store, key)
        except FileNotFoundError:
            return
        except BaseError as fault:
            raise StoreUnavailable(_AWAY, 2.0) from fault
