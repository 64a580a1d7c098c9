"""Connections to the stores.

Motor is imported in this room alone, so that moving to PyMongo's own async API touches little.
"""

from typing import Any

from bson.codec_options import CodecOptions
from motor.motor_asyncio import AsyncIOMotorClient
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from models.store.placement import Database
from models.store.vault import MasterKeys, Vault

__all__ = ["Database", "connect_mongo", "connect_redis"]


def connect_mongo(
    url: str, database: str, master_keys: MasterKeys = (), *, apart: bool = False, patient: bool = True
) -> Database:
    """Return a database handle with majority writes that are in the journal; it connects at first use.

    Without `master_keys` it can neither read nor write personal data (`models.store.vault`).
    `apart` says whether each tenant has a database of its own (`models.store.placement`), the same in every process.

    Somebody waits for an answer where it is not `patient`: a server that is away is an error after a second and a
    half instead of five, and a connection that says nothing is given up after twenty seconds.

    Times come back in UTC with their zone. Nothing is compressed unless the address asks for it (`?compressors=zstd`):
    to a server on this machine it costs half a microsecond of every ping and saves nothing.
    """
    client: Any = AsyncIOMotorClient(
        url,
        w="majority",
        journal=True,
        retryWrites=True,
        serverSelectionTimeoutMS=5000 if patient else 1500,
        connectTimeoutMS=3000 if patient else 1000,
        socketTimeoutMS=None if patient else 20_000,
        uuidRepresentation="standard",
    )
    shared = client.get_database(database, codec_options=CodecOptions(tz_aware=True))
    return Database(shared, Vault(shared["data_keys"], master_keys), apart=apart)


def connect_redis(url: str, *, timeout_s: float = 5.0) -> "Redis":
    """Return a client of the Redis-compatible server, bytes in and out; it connects at first use.

    A command is never repeated by the client itself: only its caller knows whether repeating is harmless.
    """
    pool = _Pool.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=2.0,
        retry=Retry(NoBackoff(), 0),
        health_check_interval=0,
        protocol=2,
    )
    return Redis.from_pool(pool)


class _Pool(ConnectionPool):
    """Connections that are looked at before each command, and not listened to: that takes a third of a command's cost.

    What was left unread can't be met: whoever gives up waiting for an answer closes the connection.
    """

    async def ensure_connection(self, connection: Any) -> None:
        """Open a connection that is not open, or that the server has closed."""
        reader = connection._reader  # noqa: SLF001  # the client tells it no other way
        if reader is not None and reader.at_eof():
            await connection.disconnect(nowait=True)
        await connection.connect()
