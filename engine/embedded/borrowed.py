"""The database of an installation, for a command that works beside it or while it is down."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from engine.embedded.folders import FolderLock
from engine.embedded.mongod import EmbeddedMongo
from engine.embedded.secrets import read_secrets
from engine.keys.lists import KeyList, wrapping_keys
from engine.settings import Settings
from models.errors import BadSettings
from models.store.connections import Database, connect_mongo
from models.store.indexes import ensure_indexes

__all__ = ["borrowed_database"]


@contextlib.asynccontextmanager
async def borrowed_database(settings: Settings) -> AsyncIterator[Database]:
    """Yield the database that the settings name, the embedded one that runs, or else that one started for the time.

    Raises
    ------
    BadSettings
        If there is none to be had; the line says what to do.
    """
    async with contextlib.AsyncExitStack() as stack:
        url = settings.mongo_url.get_secret_value() if settings.mongo_url is not None else None
        folder = settings.var.resolve() / "mongo"
        if url is None and _is_in_use(folder):
            url = _running(folder)
        if url is None:
            mongo = EmbeddedMongo(folder, cache_gib=settings.embedded.mongo_cache_gib)
            await mongo.start()
            stack.push_async_callback(mongo.stop)
            url = mongo.url
        masters = wrapping_keys(settings)
        if not masters():
            masters = KeyList(read_secrets(settings.var, "master"))
        database = connect_mongo(url, settings.database, masters, apart=settings.tenants_apart)
        stack.callback(database.client.close)
        await ensure_indexes(database, keep_days=settings.history.keep_days)
        await database.vault.check()
        yield database


def _is_in_use(folder: Path) -> bool:
    lock = FolderLock(folder)
    try:
        lock.take()
    except BadSettings:
        return True
    lock.release()
    return False


def _running(folder: Path) -> str:
    try:
        port = int((folder / "port").read_text())
    except (OSError, ValueError) as fault:
        raise BadSettings(f"the mongod in {folder} is just starting; try again in a moment") from fault
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"
