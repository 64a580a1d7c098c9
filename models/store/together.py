"""Reads by id and changes of documents that are asked for at once, each kind in one go to MongoDB.

A find of eight documents costs MongoDB a third of one find's work for each, and the driver a fifth. A transaction of
eight changes costs a third for each: the commit, its flush of the journal and the commands are shared. What each
caller is told is what it would have been told alone. A change that would make the others fail is taken out of their
transaction: they are then tried one by one, and each is told as soon as it is through.
"""

import asyncio
import contextvars
import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import OperationFailure, PyMongoError

from models.errors import VersionConflict
from models.store.at_once import find_at_once
from models.store.gathering import Gathering
from models.store.moments import UNZONED

if TYPE_CHECKING:
    from models.store.placement import Database

__all__ = ["THREADS", "Inserts", "PreparedChange", "Replacement", "Together", "on_thread"]

THREADS = ThreadPoolExecutor(16, thread_name_prefix="transaction")
"""Of transactions; each mostly waits for MongoDB."""

_READERS = ThreadPoolExecutor(16, thread_name_prefix="read")
_LISTERS = ThreadPoolExecutor(16, thread_name_prefix="list")  # some take long, and nobody's read by id waits for them
_MOST_READ = 64
_MOST_CHANGES = 32
_MOST_DOCUMENTS = 20  # of a change that goes together with others; a large one would hold them up
_PATIENCE_S = 0.1
_READ_PAUSE_S, _CHANGE_PAUSE_S = 0.003, 0.008  # a fraction of what each takes while it is busy
_UNKNOWN = "UnknownTransactionCommitResult"
_TRANSIENT = "TransientTransactionError"

log = structlog.get_logger(__name__)

T = TypeVar("T")
Fields = dict[str, Any]

Inserts = tuple["Collection[Any]", Sequence[Fields]]
"""New documents and where they go."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A document in place of an older version of it."""

    collection: "Collection[Any]"
    query: Fields
    """What finds that version: its `_id`, `tenant` and `version`."""
    fields: Fields
    """The whole document, or the operators of the update that makes it of the older one."""
    is_update: bool = False
    """Which of both."""

    def statement(self) -> Fields:
        """Return it as a statement of an update command, which tells operators from a document by their names."""
        return {"q": self.query, "u": self.fields}

    def write(self, session: ClientSession) -> bool:
        """Write it, blocking, and tell whether that version was there."""
        write = self.collection.update_one if self.is_update else self.collection.replace_one
        return write(self.query, self.fields, session=session).matched_count > 0


@dataclass(frozen=True, slots=True)
class PreparedChange:
    """Writes that are one, all or none, and of which everything is decided."""

    inserts: Sequence[Inserts]
    replacement: Replacement | None = None
    """Comes before what is inserted."""

    @property
    def size(self) -> int:
        """Return how many documents it writes."""
        return sum(len(documents) for _, documents in self.inserts) + (self.replacement is not None)


class _Apart(Exception):
    """Raised in a transaction of several changes when one of them can't go with the others."""


class Together:
    """What callers of one process ask of MongoDB at once."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._collections: dict[str, Collection[Any]] = {}
        self._reads: dict[str, Gathering[tuple[str, str], Fields | None]] = {}
        self._changes: Gathering[PreparedChange, None] = Gathering(
            self._commit, most=_MOST_CHANGES, patience_s=_PATIENCE_S, pause_s=_CHANGE_PAUSE_S
        )

    async def read(self, collection: str, tenant: str, identifier: str) -> Fields | None:
        """Return a document of a tenant as it was after this call began; None if there is none.

        Its moments are UTC and do not say so (`models.store.moments`).
        """
        reads = self._reads.get(collection)
        if reads is None:

            async def found(wanted: Sequence[tuple[str, str]]) -> list[Fields | None]:
                return await self._found(collection, wanted)

            reads = self._reads[collection] = Gathering(
                found, most=_MOST_READ, patience_s=_PATIENCE_S, pause_s=_READ_PAUSE_S
            )
        return await reads.ask((tenant, identifier))

    async def read_list(self, read: Callable[..., T], *given: Any) -> T:
        """Return what `read` returns, which reads a list and blocks."""
        return await on_thread(_LISTERS, read, *given)

    async def change(self, change: PreparedChange) -> None:
        """Make a change, in a transaction of its own or with the changes of others.

        Raises
        ------
        VersionConflict
            If the document that it replaces is no longer at that version.
        pymongo.errors.BulkWriteError, pymongo.errors.DuplicateKeyError
            If what it inserts was there before.
        """
        if change.size > _MOST_DOCUMENTS:
            await self._alone(change)
        else:
            await self._changes.ask(change)

    async def _found(self, collection: str, wanted: Sequence[tuple[str, str]]) -> list[Fields | None]:
        by_tenant: defaultdict[str, set[str]] = defaultdict(set)
        for tenant, identifier in wanted:
            by_tenant[tenant].add(identifier)
        queries = [_query(tenant, identifiers) for tenant, identifiers in by_tenant.items()]
        finds = [on_thread(_READERS, _find, self._unzoned(collection, query), query) for query in queries]
        parts = [await finds[0]] if len(finds) == 1 else await asyncio.gather(*finds)
        found = {(fields["tenant"], fields["_id"]): fields for part in parts for fields in part}
        given: set[tuple[str, str]] = set()
        answers: list[Fields | None] = []
        for key in wanted:
            fields = found.get(key)
            answers.append(copy.deepcopy(fields) if key in given else fields)  # to each his own
            given.add(key)
        return answers

    def _unzoned(self, name: str, query: Fields) -> "Collection[Any]":
        """Return the collection that a query is about, decoding moments without their zone."""
        collection = self._database.blocking(name, query)
        known = self._collections.get(collection.full_name)
        if known is None:
            known = self._collections[collection.full_name] = collection.with_options(codec_options=UNZONED)
        return known

    async def _commit(self, changes: Sequence[PreparedChange]) -> Sequence["Exception | asyncio.Task[None] | None"]:
        """Make changes in one transaction; those that can't go with the others in one each, for their callers alone."""
        repeats = _repeats(changes)
        first = [change for change, is_repeat in zip(changes, repeats, strict=True) if not is_repeat]
        are_made = len(first) > 1 and await self._made(first)
        return [
            None if are_made and not is_repeat else asyncio.create_task(self._alone(change))
            for change, is_repeat in zip(changes, repeats, strict=True)
        ]

    async def _made(self, changes: Sequence[PreparedChange]) -> bool:
        """Make changes in one transaction, and tell whether they could go together."""
        try:
            await on_thread(THREADS, _transact, self._client, changes)
        except OperationFailure as fault:
            if fault.has_error_label(_UNKNOWN):
                raise  # it may have come through
            _note_apart(changes, fault)
            return False
        except PyMongoError:
            raise
        except Exception as fault:  # noqa: BLE001 - whose it is turns out when each is made alone
            _note_apart(changes, fault.__cause__ or fault)
            return False
        return True

    async def _alone(self, change: PreparedChange) -> None:
        await on_thread(THREADS, _transact, self._client, [change])

    @property
    def _client(self) -> Any:
        return self._database.client.delegate


def _insert(collection: "Collection[Any]", documents: Sequence[Fields], session: ClientSession) -> None:
    """Insert documents, blocking; a single one goes the way for one, at half the cost of that for many."""
    if len(documents) == 1:
        collection.insert_one(documents[0], session=session)
    else:
        collection.insert_many(documents, session=session)


def _note_apart(changes: Sequence[PreparedChange], why: BaseException) -> None:
    """Log why changes can't go together: as what MongoDB met, or, which is an everyday matter, as the callers' own."""
    if isinstance(why, OperationFailure):
        said = why.details or {}  # its message may hold what was to be stored
        labels = said.get("errorLabels", [])
        log.info("changes.apart", changes=len(changes), code=why.code, error=said.get("codeName"), labels=labels)
    else:
        log.debug("changes.apart", changes=len(changes), error=str(why))


async def on_thread(threads: ThreadPoolExecutor, work: Callable[..., T], *given: Any) -> T:
    """Return what `work` returns, which blocks, with the trace and the request of whoever asks."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, context.run, work, *given)


def _query(tenant: str, identifiers: set[str]) -> Fields:
    return {"_id": next(iter(identifiers)) if len(identifiers) == 1 else {"$in": [*identifiers]}, "tenant": tenant}


def _find(collection: "Collection[Any]", query: Fields) -> list[Fields]:
    wanted = query["_id"]
    return find_at_once(collection, query, len(wanted["$in"]) if isinstance(wanted, dict) else 1)


def _repeats(changes: Sequence[PreparedChange]) -> list[bool]:
    """Tell which changes are of a document that one before them changes too: only one of those can be right."""
    seen: set[str] = set()
    found = []
    for change in changes:
        name = None if change.replacement is None else change.replacement.query["_id"]
        found.append(name in seen)
        seen |= set() if name is None else {name}
    return found


def _transact(client: Any, changes: Sequence[PreparedChange]) -> None:
    """Make changes in one transaction, blocking; raises `_Apart` if they can't go together."""
    tries = 0

    def write(session: ClientSession) -> None:
        nonlocal tries
        tries += 1
        if len(changes) == 1:
            _write_one(changes[0], session)
        elif tries == 1:
            _write_together(changes, session)
        else:  # the commit met somebody else's transaction
            raise _Apart

    with client.start_session() as session:
        session.with_transaction(write)


def _write_one(change: PreparedChange, session: ClientSession) -> None:
    if (it := change.replacement) is not None and not it.write(session):
        query = {"_id": it.query["_id"], "tenant": it.query["tenant"]}
        found = it.collection.find_one(query, {"version": 1}, session=session)
        raise VersionConflict(it.query["_id"], it.query["version"], int(found["version"]) if found else 0)
    for collection, documents in change.inserts:
        _insert(collection, documents, session)


def _write_together(changes: Sequence[PreparedChange], session: ClientSession) -> None:
    """Write changes; raises `_Apart` if one of them met somebody else's transaction.

    It is not tried again for all: the others would be held up, and once that transaction is through, the version that
    the one wants to replace is no longer there.
    """
    try:
        _write_all(changes, session)
    except PyMongoError as fault:
        if fault.has_error_label(_TRANSIENT):
            raise _Apart("met somebody else's transaction") from fault
        raise


def _write_all(changes: Sequence[PreparedChange], session: ClientSession) -> None:
    replaced: defaultdict[Collection[Any], list[Replacement]] = defaultdict(list)
    inserted: defaultdict[Collection[Any], list[Fields]] = defaultdict(list)
    for change in changes:
        if change.replacement is not None:
            replaced[change.replacement.collection].append(change.replacement)
        for collection, documents in change.inserts:
            inserted[collection].extend(documents)
    for collection, some in replaced.items():
        _write_at_once(collection, {"update": collection.name, "updates": [one.statement() for one in some]}, session)
    for collection, documents in inserted.items():
        _write_at_once(collection, {"insert": collection.name, "documents": documents}, session)


def _write_at_once(collection: "Collection[Any]", command: Fields, session: ClientSession) -> None:
    """Run a command of writes; raises `_Apart` unless each of them found, or put, its document.

    PyMongo's bulk writes do the same, and look at every document by itself.
    """
    wanted = len(command.get("updates") or command["documents"])
    command["ordered"] = False
    answer = collection.database.command(command, codec_options=collection.codec_options, session=session)
    if answer["n"] < wanted:
        raise _Apart
