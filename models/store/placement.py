"""Where a tenant's documents live, and the guard that no query goes without a tenant.

A database handle gives ordinary collections for what the installation shares, and guarded ones for what belongs to one
tenant (`OWNED`). A guarded collection refuses a query or a document that names no tenant, so a repository can't forget
it, and sends the others to the place of that tenant: the shared database, or one of the tenant's own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from motor.motor_asyncio import AsyncIOMotorDatabase
from pymongo.collection import Collection

from models.documents.driver import DriverPost
from models.store.kept import KeptDocuments, KeptGroup
from models.store.together import Together
from models.store.vault import Vault

__all__ = ["OWNED", "Database", "MissingTenant", "tenant_database_name"]

T = TypeVar("T")

OWNED = frozenset(
    {
        *("deliveries", "proofs", "offer_rounds", "vehicles", "depots", "closures", "geofences"),
        *("routes", "jobs", "proposals"),
        *("imports", "import_parts", "geocodes", "audit"),
        *("notifications", "notification_rules", "webhooks", "webhook_attempts"),
        *("quarantine", "privacy_requests"),
        *("analytics_books", "analytics_facts", "analytics_buckets"),
    }
)
"""Collections of which every document belongs to one tenant and every query is about one."""

_BY_FILTER = frozenset(
    {
        "count_documents",
        "delete_many",
        "delete_one",
        "find",
        "find_one",
        "find_one_and_delete",
        "find_one_and_replace",
        "find_one_and_update",
        "replace_one",
        "update_many",
        "update_one",
    }
)
"""Methods whose first argument is a filter."""


class MissingTenant(AssertionError):
    """Raised when a query or a document of a tenant's collection names no tenant: our fault, never the caller's."""


def tenant_database_name(shared: str, tenant: str) -> str:
    """Return the name of a tenant's own database."""
    return f"{shared}-{tenant}"


class Database:
    """The collections of an installation, as attributes or by name.

    Parameters
    ----------
    shared
        The installation's database.
    vault
        Keys of the personal data in it.
    apart
        Whether each tenant's `OWNED` collections are in a database of its own.
    """

    def __init__(self, shared: "AsyncIOMotorDatabase[Any]", vault: Vault, *, apart: bool = False) -> None:
        self.shared = shared
        """The installation's database without the guard, for what looks over all tenants: indexes, migrations."""
        self.vault = vault
        """Seals and opens what `models.store.personal` lists."""
        self.apart = apart
        self.kept: KeptDocuments | None = None
        """Where what hardly changes is looked for first; none in processes that read it seldom."""
        self.posts: dict[tuple[str, str], DriverPost] = {}
        """Where the engine has drivers, by tenant and id, as far as this process has looked."""
        self.together = Together(self)
        """Reads by id, and changes, that callers ask for at once."""
        self.client: Any = shared.client
        self.name: str = shared.name
        self._collections: dict[str, Any] = {name: _OwnedCollection(self, name) for name in OWNED}

    def __getattr__(self, name: str) -> Any:
        """Return a collection, or what else a Motor database has."""
        if name.startswith("__"):
            raise AttributeError(name)
        if (found := self._collections.get(name)) is None:
            found = getattr(self.shared, name)
        self.__dict__[name] = found  # Motor would make it anew each time, for a tenth of the cost of a query
        return found

    def __getitem__(self, name: str) -> Any:
        """Return a collection."""
        if (found := self._collections.get(name)) is None:
            found = self._collections[name] = self.shared[name]
        return found

    async def read(
        self,
        group: KeptGroup,
        tenant: str,
        key: str,
        read: Callable[[], Awaitable[Mapping[str, Any]]],
        restored: Callable[[Mapping[str, Any]], T],
    ) -> T:
        """Return something from what this process keeps, else by `read` (`models.store.kept`)."""
        if self.kept is None:
            return restored(await read())
        return await self.kept.get(group, tenant, key, read, restored)

    async def write(self, group: KeptGroup, tenant: str, write: Awaitable[None]) -> None:
        """Write something of a group that processes keep, and let all of them see it before this returns."""
        try:
            await write
        finally:  # after a fault too: whether a commit came through is then unknown
            if self.kept is not None:
                await self.kept.renew(group, tenant)

    def ping(self) -> None:
        """Ask the server for an answer and block until it comes: for a thread of the caller's own.

        Raises
        ------
        pymongo.errors.PyMongoError
            If it is known not to be there.
        """
        self.client.delegate.admin.command("ping")

    def blocking(self, name: str, *concerned: Mapping[str, Any]) -> "Collection[Any]":
        """Return the collection for these documents or filters, behind the same guard, for a thread that may block."""
        place = self[name]
        found: Collection[Any] = (place.place_of(*concerned) if name in OWNED else place).delegate
        return found

    def of(self, tenant: str) -> "AsyncIOMotorDatabase[Any]":
        """Return the database that holds a tenant's `OWNED` collections."""
        if not self.apart:
            return self.shared
        name = tenant_database_name(self.name, tenant)
        found: AsyncIOMotorDatabase[Any] = self.client.get_database(name, codec_options=self.shared.codec_options)
        return found

    async def everywhere(
        self, name: str, query: Mapping[str, Any], shown: Mapping[str, int] | None = None
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Yield what all tenants have in one of the `OWNED` collections, for what serves them all."""
        if not self.apart:
            async for found in self.shared[name].find(query, shown):
                yield found
            return
        for tenant in await self.tenants.distinct("_id"):
            async for found in self[name].find({"tenant": tenant, **query}, shown):
                yield found


class _OwnedCollection:
    """One collection of all tenants: finds the tenant in what it is asked."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._together: Any = None if database.apart else database.shared[name]

    def __getattr__(self, method: str) -> Any:
        if method not in _BY_FILTER:
            raise MissingTenant(f"{self._name}.{method} names no tenant")

        def call(query: Mapping[str, Any], *args: Any, **options: Any) -> Any:
            return getattr(self.place_of(query), method)(query, *args, **options)

        return call

    def insert_one(self, document: Mapping[str, Any], **options: Any) -> Any:
        """Insert a document where its tenant's are."""
        return self.place_of(document).insert_one(document, **options)

    def insert_many(self, documents: Sequence[Mapping[str, Any]], **options: Any) -> Any:
        """Insert documents of one tenant."""
        return self.place_of(*documents).insert_many(documents, **options)

    def bulk_write(self, writes: Sequence[Any], **options: Any) -> Any:
        """Write what concerns one tenant."""
        concerned = [getattr(write, "_filter", None) or getattr(write, "_doc", {}) for write in writes]
        return self.place_of(*concerned).bulk_write(writes, **options)

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], **options: Any) -> Any:
        """Aggregate a tenant's documents; the first stage matches the tenant."""
        return self.place_of(pipeline[0].get("$match", {})).aggregate(pipeline, **options)

    def distinct(self, key: str, query: Mapping[str, Any], **options: Any) -> Any:
        """Return the distinct values of a field in a tenant's documents."""
        return self.place_of(query).distinct(key, query, **options)

    def place_of(self, *concerned: Mapping[str, Any]) -> Any:
        """Return the collection that holds what is concerned, which names one tenant."""
        tenants = [one.get("tenant") for one in concerned]
        if not tenants or not isinstance(tenants[0], str) or any(tenant != tenants[0] for tenant in tenants):
            raise MissingTenant(f"{self._name} is asked without a tenant, or about several")
        return self._database.of(tenants[0])[self._name] if self._together is None else self._together
