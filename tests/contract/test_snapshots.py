"""Snapshots: the newest of each partition, in one piece however big, and never from an outdated owner."""

import itertools
import os

import pytest

from models.errors import Fenced
from models.store.connections import Database
from models.store.snapshots import SnapshotRepository, StoredSnapshot

_partitions = itertools.count(100_000)


@pytest.fixture
def partition() -> int:
    """Return a partition that no other test writes."""
    return next(_partitions)


async def test_round_trip_of_more_than_a_document_holds(database: Database, partition: int) -> None:
    snapshots = SnapshotRepository(database)
    snapshot = StoredSnapshot(partition, 1, 2**60, 2**60, os.urandom(30 * 2**20))
    await snapshots.save(snapshot)
    assert await snapshots.load([partition, partition + 50_000]) == {partition: snapshot}


async def test_newer_snapshot_replaces_the_older_and_its_parts(database: Database, partition: int) -> None:
    snapshots = SnapshotRepository(database)
    for offset in (1, 2):
        await snapshots.save(StoredSnapshot(partition, 1, offset, offset, b"state %d" % offset))
    assert (await snapshots.load([partition]))[partition].data == b"state 2"
    assert await database.snapshot_parts.count_documents({"partition": partition}) == 1


async def test_outdated_owner_is_refused(database: Database, partition: int) -> None:
    snapshots = SnapshotRepository(database)
    await snapshots.save(StoredSnapshot(partition, 2, 10, 10, b"mine"))
    with pytest.raises(Fenced):
        await snapshots.save(StoredSnapshot(partition, 1, 11, 11, b"zombie"))
    assert (await snapshots.load([partition]))[partition].data == b"mine"


async def test_claim_refuses_the_owner_before_at_once(database: Database, partition: int) -> None:
    snapshots = SnapshotRepository(database)
    await snapshots.save(StoredSnapshot(partition, 1, 10, 10, b"state"))
    await snapshots.claim({partition: 2, partition + 60_000: 1})
    with pytest.raises(Fenced):
        await snapshots.save(StoredSnapshot(partition, 1, 11, 11, b"zombie"))
    with pytest.raises(Fenced):
        await snapshots.claim({partition: 1})
    found = await snapshots.load([partition, partition + 60_000])
    assert found[partition] == StoredSnapshot(partition, 2, 10, 10, b"state")
    assert found[partition + 60_000].data == b""
