"""Books of figures in MongoDB: what each fact adds, the sums of that by bucket, and which book is in use.

A **fact** is a delivery, or a driver's day; its document holds the cells that it has added to the buckets, so that a
correction takes back exactly what was given. A **bucket** is the sum of one level, key and period. Both belong to a
book (`Book.generation`); a rebuild fills a new one beside the current.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import Any

from pymongo import DeleteOne, ReplaceOne, ReturnDocument, UpdateOne

from models.documents.analytics import Amounts, Book, BucketKey, Cell, Cells, Level, Shelf
from models.store.connections import Database
from models.store.indexes import BY_PERIOD
from models.store.replays import insert_new
from models.store.scope import Scope
from models.store.transactions import Session

__all__ = ["BookRepository"]

_UTC = "UTC"
_FIRST = 1


class BookRepository:
    """The figures of a tenant."""

    def __init__(self, database: Database) -> None:
        self._shelves: Any = database["analytics_books"]
        self._facts: Any = database["analytics_facts"]
        self._buckets: Any = database["analytics_buckets"]
        self._tenants: Any = database["tenants"]

    async def tenants(self) -> list[str]:
        """Return the ids of all tenants, for whoever looks after the installation."""
        return [fields["_id"] async for fields in self._tenants.find({}, {"_id": 1}).sort("_id", 1)]

    async def shelf(self, scope: Scope, session: Session | None = None) -> Shelf:
        """Return the tenant's books; one that nothing is written in yet, where there are none."""
        found = await self._shelves.find_one(_shelf_of(scope), session=session)
        return _shelf(found) if found is not None else Shelf(Book(_FIRST, await self.zone(scope, session)))

    async def kept_shelf(self, scope: Scope, session: Session | None = None) -> Shelf:
        """Return the tenant's books, and see to it that it has one."""
        found = await self._shelves.find_one(_shelf_of(scope), session=session)
        if found is not None:
            return _shelf(found)
        shelf = Shelf(Book(_FIRST, await self.zone(scope, session)))
        first = {"$setOnInsert": {"current": _stored_book(shelf.current), "newest": _FIRST}}
        await self._shelves.update_one(_shelf_of(scope), first, upsert=True, session=session)
        return shelf

    async def zone(self, scope: Scope, session: Session | None = None) -> str:
        """Return the time zone that the tenant has chosen."""
        found = await self._tenants.find_one({"_id": scope.tenant}, {"settings.timeZone": 1}, session=session)
        zone: str = ((found or {}).get("settings") or {}).get("timeZone") or _UTC
        return zone

    async def begin(self, scope: Scope, zone: str) -> Book:
        """Open a new book: events go into it as well from now on.

        No generation is given twice: something may still write into one that was given up.
        """
        await self.kept_shelf(scope)
        raised = await self._shelves.find_one_and_update(
            _shelf_of(scope), {"$inc": {"newest": 1}}, return_document=ReturnDocument.AFTER
        )
        book = Book(int(raised["newest"]), zone)
        await self._shelves.update_one(_shelf_of(scope), {"$set": {"building": _stored_book(book)}})
        return book

    async def give_up(self, scope: Scope, book: Book) -> None:
        """Forget a book that was begun; what is written in it goes when the next one is finished."""
        query = _shelf_of(scope) | {"building.generation": book.generation}
        await self._shelves.update_one(query, {"$unset": {"building": ""}})

    async def finish(self, scope: Scope, book: Book) -> None:
        """Answer questions from `book` from now on, and throw the older ones away."""
        change = {"$set": {"current": _stored_book(book)}, "$unset": {"building": ""}}
        await self._shelves.update_one(_shelf_of(scope) | {"building.generation": book.generation}, change)
        await self._buckets.delete_many({"tenant": scope.tenant, "generation": {"$lt": book.generation}})
        older = {"$gte": f"{scope.tenant}/", "$lt": _fact_id(scope, book, "")}
        await self._facts.delete_many({"_id": older, "tenant": scope.tenant})

    async def facts(
        self, scope: Scope, book: Book, subjects: Collection[str], session: Session | None = None
    ) -> dict[str, Cells]:
        """Return what these subjects have added so far; those that have added nothing are left out."""
        ids = {_fact_id(scope, book, subject): subject for subject in subjects}
        found = await self._facts.find({"_id": {"$in": list(ids)}, "tenant": scope.tenant}, session=session).to_list(
            None
        )
        return {ids[fields["_id"]]: _cells(fields["cells"]) for fields in found}

    async def subjects(
        self, scope: Scope, book: Book, first: str, last: str, session: Session | None = None
    ) -> list[str]:
        """Return the subjects in `[first, last]` that have added something."""
        between = {"$gte": _fact_id(scope, book, first), "$lte": _fact_id(scope, book, last)}
        query = {"_id": between, "tenant": scope.tenant}
        found = await self._facts.find(query, {"_id": 1}, session=session).to_list(None)
        return [fields["_id"].removeprefix(_fact_id(scope, book, "")) for fields in found]

    async def put_facts(self, scope: Scope, book: Book, facts: Mapping[str, Cells], session: Session) -> None:
        """Store what subjects add by now, in place of what they added before."""
        writes = [_fact_write(scope, book, subject, cells) for subject, cells in facts.items()]
        if writes:
            await self._facts.bulk_write(writes, ordered=False, session=session)

    async def insert_facts(self, scope: Scope, book: Book, facts: Mapping[str, Cells]) -> set[str]:
        """Store facts that are not there yet, and return the subjects of those that were not."""
        subjects = list(facts)
        there = await insert_new(self._facts, [_fact(scope, book, subject, facts[subject]) for subject in subjects])
        return set(subjects) - {subjects[place] for place in there}

    async def add(
        self, scope: Scope, book: Book, sums: Mapping[BucketKey, Amounts], session: Session | None = None
    ) -> None:
        """Add amounts to buckets."""
        writes = [_bucket_write(scope, book, key, amounts) for key, amounts in sums.items()]
        if writes:
            await self._buckets.bulk_write(writes, ordered=False, session=session)

    async def put_sums(self, scope: Scope, book: Book, sums: Mapping[BucketKey, Amounts]) -> None:
        """Add amounts to buckets of which most are new: a new one is stored five times as fast as one is added to."""
        keys = list(sums)
        if not keys:
            return
        buckets = [_bucket(scope, book, key) | {"amounts": dict(sums[key])} for key in keys]
        there = await insert_new(self._buckets, buckets)
        await self.add(scope, book, {keys[place]: sums[keys[place]] for place in there})

    async def buckets(
        self, scope: Scope, book: Book, level: Level, keys: Sequence[str], first: str, last: str
    ) -> AsyncIterator[tuple[BucketKey, Amounts]]:
        """Yield the buckets of some keys whose period lies in `[first, last]`."""
        query = _query(scope, book, level, first, last) | {"key": {"$in": list(keys)}}
        async for fields in self._buckets.find(query, {"_id": 0, "key": 1, "period": 1, "amounts": 1}):
            yield BucketKey(level, fields["key"], fields["period"]), fields["amounts"]

    async def keys(
        self, scope: Scope, book: Book, level: Level, first: str, last: str, *, after: str = "", limit: int
    ) -> list[str]:
        """Return the first keys behind `after` that have a bucket in `[first, last]`, in order."""
        query = _query(scope, book, level, first, last) | {"key": {"$gt": after}}
        steps = [{"$match": query}, {"$group": {"_id": "$key"}}, {"$sort": {"_id": 1}}, {"$limit": limit}]
        return [fields["_id"] async for fields in self._buckets.aggregate(steps, hint=BY_PERIOD)]

    async def all_keys(self, scope: Scope, book: Book, level: Level, first: str, last: str) -> frozenset[str]:
        """Return all keys that have a bucket in `[first, last]`."""
        steps = [{"$match": _query(scope, book, level, first, last)}, {"$group": {"_id": "$key"}}]
        return frozenset([fields["_id"] async for fields in self._buckets.aggregate(steps, hint=BY_PERIOD)])

    async def has_key(self, scope: Scope, book: Book, level: Level, key: str) -> bool:
        """Tell whether a key has any bucket."""
        query = {"tenant": scope.tenant, "generation": book.generation, "level": level, "key": key}
        return await self._buckets.find_one(query, {"_id": 1}) is not None


def _shelf_of(scope: Scope) -> dict[str, Any]:
    return {"_id": scope.tenant, "tenant": scope.tenant}


def _query(scope: Scope, book: Book, level: Level, first: str, last: str) -> dict[str, Any]:
    return {
        "tenant": scope.tenant,
        "generation": book.generation,
        "level": level,
        "period": {"$gte": first, "$lte": last},
    }


def _shelf(fields: Mapping[str, Any]) -> Shelf:
    building = fields.get("building")
    return Shelf(_book(fields["current"]), None if building is None else _book(building))


def _book(fields: Mapping[str, Any]) -> Book:
    return Book(int(fields["generation"]), fields["zone"])


def _stored_book(book: Book) -> dict[str, Any]:
    return {"generation": book.generation, "zone": book.zone}


def _fact_id(scope: Scope, book: Book, subject: str) -> str:
    return f"{scope.tenant}/{book.generation:08}/{subject}"  # padded: older books come before newer ones


def _fact(scope: Scope, book: Book, subject: str, cells: Cells) -> dict[str, Any]:
    stored = [{**_place(cell), "amounts": dict(amounts)} for cell, amounts in cells.items()]
    return {"_id": _fact_id(scope, book, subject), "tenant": scope.tenant, "cells": stored}


def _fact_write(scope: Scope, book: Book, subject: str, cells: Cells) -> "ReplaceOne[dict[str, Any]] | DeleteOne":
    fact = _fact(scope, book, subject, cells)
    it = {"_id": fact["_id"], "tenant": scope.tenant}
    return ReplaceOne(it, fact, upsert=True) if cells else DeleteOne(it)


def _place(cell: Cell) -> dict[str, str]:
    return {name: value for name, value in cell._asdict().items() if value is not None}


def _cells(stored: Iterable[Mapping[str, Any]]) -> Cells:
    return {Cell(one["day"], one.get("driver"), one.get("route")): one["amounts"] for one in stored}


def _bucket(scope: Scope, book: Book, key: BucketKey) -> dict[str, Any]:
    name = f"{scope.tenant}/{book.generation}/{key.level}/{key.key}/{key.period}"
    return {"_id": name, "tenant": scope.tenant, "generation": book.generation, **key._asdict()}


def _bucket_write(scope: Scope, book: Book, key: BucketKey, amounts: Amounts) -> UpdateOne:
    bucket = _bucket(scope, book, key)
    return UpdateOne(
        {name: bucket.pop(name) for name in ("_id", "tenant")},
        {"$inc": {f"amounts.{name}": amount for name, amount in amounts.items()}, "$setOnInsert": bucket},
        upsert=True,
    )
