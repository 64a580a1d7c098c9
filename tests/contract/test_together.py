"""Reads and changes that are asked for at once go to MongoDB together, and each is told what it would be told alone."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import BulkWriteError, DuplicateKeyError
from structlog.testing import capture_logs

from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Move
from engine.deliveries.orders import Order
from models.documents.delivery import Delivery, Place, Status
from models.documents.document import now
from models.errors import ForbiddenTransition, NotFound, VersionConflict
from models.ids import new_id
from models.store import together
from models.store.deliveries import DeliveryRepository
from models.store.drivers import DriverRepository, NewDriver
from models.store.outbox import is_repeat
from models.store.scope import Scope
from models.store.together import PreparedChange, Replacement

PARTITIONS = 8
PORTO = Place(latitude=41.15, longitude=-8.61)


@pytest.fixture
def commands(store):
    return DeliveryCommands(store, PARTITIONS)


def an_order(scope, driver=None):
    return Order(Delivery(id=new_id("dlv"), tenant=scope.tenant, dropoff=PORTO, notes="Ring twice"), driver)


def accepted():
    return Move(Status.ACCEPTED, now(), "usr_test")


async def some_assigned(store, commands, scope, count):
    driver = (await DriverRepository(store, PARTITIONS).create_many(scope, [NewDriver("Ana")]))[0]
    return await commands.create(scope, [an_order(scope, driver.id) for _ in range(count)])


async def commits(store):
    return (await store.client.admin.command("serverStatus"))["transactions"]["totalCommitted"]


async def told(store, scope, delivery):
    return [(one.type, one.sequence) for one in await DeliveryRepository(store).events(scope, delivery)]


async def test_changes_at_once_share_transactions_and_each_has_its_event(store, commands, scope):
    await commands.create(scope, [an_order(scope)])  # makes the company's key; who waits for that comes later
    before = await commits(store)
    made = await asyncio.gather(*(commands.create(scope, [an_order(scope)]) for _ in range(20)))
    assert await commits(store) - before < 5
    for (delivery,) in made:
        assert (await commands._deliveries.get(scope, delivery.id)) == delivery
        assert await told(store, scope, delivery.id) == [("delivery.created", 1)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seen=st.lists(st.sampled_from([1, 2, 2, 3]), min_size=1, max_size=8))
async def test_each_of_several_moves_at_once_is_told_what_it_would_be_told_alone(store, commands, scope, seen):
    deliveries = await some_assigned(store, commands, scope, len(seen))
    answers = await asyncio.gather(
        *(commands.move(scope, one.id, accepted(), version) for one, version in zip(deliveries, seen, strict=True)),
        return_exceptions=True,
    )
    for one, version, answer in zip(deliveries, seen, answers, strict=True):
        now_there = await commands._deliveries.get(scope, one.id)
        events = await told(store, scope, one.id)
        if version == one.version:
            assert answer == now_there
            assert now_there.version == one.version + 1
            assert events[-1] == ("delivery.accepted", now_there.version)
        else:
            assert isinstance(answer, VersionConflict)
            assert now_there == one
            assert len(events) == one.version


async def test_a_move_leaves_all_in_the_store_that_it_does_not_change(store, commands, scope):
    (one,) = await some_assigned(store, commands, scope, 1)
    query = {"_id": one.id, "tenant": scope.tenant}
    before = await store.deliveries.find_one(query)
    moved = await commands.move(scope, one.id, accepted(), None)
    after = await store.deliveries.find_one(query)
    assert {name for name in after if after[name] != before[name]} == {"version", "status", "history", "updatedAt"}
    noted = await commands.move(scope, one.id, Move(Status.PICKED_UP, now(), "usr_test", notes="at the porter's"), None)
    assert (await commands._deliveries.get(scope, one.id)) == noted
    assert noted.history[:-1] == moved.history


async def test_of_many_moves_of_one_delivery_one_comes_through_and_others_at_its_side_too(store, commands, scope):
    one, *others = await some_assigned(store, commands, scope, 5)
    moves = [commands.move(scope, it.id, accepted(), it.version) for it in (one, one, *others, one)]
    answers = await asyncio.gather(*moves, return_exceptions=True)
    assert [answer.status for answer in answers[2:6]] == [Status.ACCEPTED] * 4
    of_one = [answers[0], answers[1], answers[6]]
    assert sum(isinstance(answer, Delivery) for answer in of_one) == 1
    assert sum(isinstance(answer, VersionConflict) for answer in of_one) == 2
    assert len(await told(store, scope, one.id)) == one.version + 1


async def test_moves_at_once_that_saw_no_version_are_made_one_upon_the_other_or_forbidden(store, commands, scope):
    (one,) = await some_assigned(store, commands, scope, 1)
    answers = await asyncio.gather(
        *(commands.move(scope, one.id, accepted(), None) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, Delivery) for answer in answers) == 1
    assert sum(isinstance(answer, ForbiddenTransition) for answer in answers) == 3


async def test_a_repeated_event_is_refused_and_what_goes_with_it_is_stored(store, commands, scope):
    first, *others = await some_assigned(store, commands, scope, 4)
    event = new_id("evt")
    await commands.move(scope, first.id, accepted(), None, event=event)
    moves = [commands.move(scope, others[0].id, accepted(), None, event=event)]
    moves += [commands.move(scope, one.id, accepted(), None) for one in others[1:]]
    repeated, *stored = await asyncio.gather(*moves, return_exceptions=True)
    assert isinstance(repeated, BulkWriteError | DuplicateKeyError)
    assert is_repeat(repeated)
    assert [one.status for one in stored] == [Status.ACCEPTED] * 2
    assert (await commands._deliveries.get(scope, others[0].id)).status is Status.ASSIGNED


def a_change(store, delivery, expected, notes="Ring thrice"):
    query = {"_id": delivery.id, "tenant": delivery.tenant, "version": expected}
    update = {"$set": {"version": expected + 1, "updatedAt": notes}}
    return PreparedChange([], Replacement(store.blocking("deliveries", query), query, update, is_update=True))


async def test_a_change_that_comes_too_late_is_told_so_and_those_with_it_are_stored(store, commands, scope):
    made = await some_assigned(store, commands, scope, 3)
    changes = [a_change(store, one, one.version - (one is made[1])) for one in made]
    told = await asyncio.gather(*map(store.together.change, changes), return_exceptions=True)
    assert [type(one) for one in told] == [type(None), VersionConflict, type(None)]
    assert told[1].current == made[1].version
    versions = [(await store.deliveries.find_one({"_id": one.id, "tenant": scope.tenant}))["version"] for one in made]
    assert versions == [made[0].version + 1, made[1].version, made[2].version + 1]


async def test_what_mongodb_has_no_words_for_is_one_callers_fault_alone(store, commands, scope):
    made = await some_assigned(store, commands, scope, 3)
    changes = [a_change(store, one, one.version, 2**70 if one is made[1] else "now") for one in made]
    told = await asyncio.gather(*map(store.together.change, changes), return_exceptions=True)
    assert [type(one) for one in told] == [type(None), OverflowError, type(None)]


async def test_who_waits_for_somebody_elses_transaction_holds_up_nobody(store, commands, scope):
    made = await some_assigned(store, commands, scope, 3)
    held = {"_id": made[1].id, "tenant": scope.tenant}
    async with await store.client.start_session() as session, session.start_transaction():
        await store.deliveries.update_one(held, {"$set": {"notes": "held"}}, session=session)
        all_three = [asyncio.ensure_future(store.together.change(a_change(store, one, one.version))) for one in made]
        with capture_logs() as logged:
            await asyncio.wait_for(asyncio.gather(all_three[0], all_three[2]), 20)
        assert not all_three[1].done()
    await all_three[1]
    assert [(it["event"], it["changes"], it["error"], it["labels"]) for it in logged] == [
        ("changes.apart", 3, "WriteConflict", ["TransientTransactionError"])
    ]


async def test_reads_at_once_are_one_find(store, commands, scope, monkeypatch):
    made = await some_assigned(store, commands, scope, 6)
    finds, find = [], together._find
    monkeypatch.setattr(together, "_find", lambda collection, query: finds.append(query) or find(collection, query))
    await asyncio.gather(*(DeliveryRepository(store).get(scope, one.id) for one in made))
    assert len(finds) == 1


async def test_reads_at_once_find_each_its_own_and_nothing_of_another_tenant(store, commands, scope):
    made = await some_assigned(store, commands, scope, 6)
    repository, foreign = DeliveryRepository(store), Scope(new_id("ten"), "usr_test")
    reads = [repository.get(scope, one.id) for one in (*made, made[0])]
    reads += [repository.get(foreign, made[0].id), repository.get(scope, new_id("dlv"))]
    *found, not_theirs, not_there = await asyncio.gather(*reads, return_exceptions=True)
    assert found == [*made, made[0]]
    assert isinstance(not_theirs, NotFound)
    assert isinstance(not_there, NotFound)


async def test_two_who_read_the_same_at_once_share_no_document(store, commands, scope):
    (one,) = await some_assigned(store, commands, scope, 1)
    repository = DeliveryRepository(store)
    here, there = await asyncio.gather(*(repository.fields_of(scope, one.id) for _ in range(2)))
    here["dropoff"]["latitude"] = 0.0
    assert there["dropoff"]["latitude"] == PORTO.latitude
    assert there["notes"] == "Ring twice"
