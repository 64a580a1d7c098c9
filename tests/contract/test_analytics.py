"""Figures on a real MongoDB: kept current by the feed, rebuilt from the truth, and the same either way."""

import asyncio
import contextlib
import datetime
import random
import uuid

import pytest
import pytest_asyncio
import typer

from engine.analytics.days import Days
from engine.analytics.follower import FOLLOWER, FigureFollower, rebuild_kind
from engine.analytics.questions import FLEET, FigureQuestions, Subject
from engine.analytics.rebuild import FigureRebuild
from engine.deliveries.commands import DeliveryCommands
from engine.deliveries.lifecycle import Edit, Move
from engine.deliveries.orders import Order
from engine.feed.feed import Feed
from engine.settings import Settings
from engine.tasks.worker import TaskWorker
from engine.tenants.commands import TenantCommands
from models.documents.delivery import MAX_HISTORY, Delivery, Place, TimeWindow
from models.documents.document import now
from models.documents.tenant import Tenant
from models.errors import Conflict, ForbiddenTransition
from models.ids import new_id
from models.store.analytics import BookRepository
from models.store.cursors import CursorRepository
from models.store.drivers import DriverRepository, NewDriver
from models.store.events import EventRepository
from models.store.indexes import ensure_indexes, ensure_tenant_indexes
from models.store.leases import Lease
from models.store.motion import MotionRepository
from models.store.scope import Scope
from outrider.cli.analytics import rebuild_figures
from tests.feed import number
from tests.stack import MASTER_KEYS, connected, eventually

PARTITIONS = 4
MORNING = datetime.datetime(2026, 3, 28, 20, tzinfo=datetime.UTC)  # an hour is skipped in Berlin that night
WANTED = ("accepted", "declined", "picked_up", "in_transit", "arrived", "delivered", "failed", "returned", "cancelled")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(stores):
    """Return a database of these tests alone: the feed is one for all tenants of it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    own = connected(stores.mongo_url, name)
    await ensure_indexes(own)
    yield own
    await own.client.drop_database(name)
    own.client.close()


@pytest.fixture
async def feed(database):
    feed = Feed(database, [FigureFollower(database)])
    await feed.start()
    yield feed
    await feed.stop()


@pytest.fixture
async def scope(database, tenant):
    return await a_tenant(database, tenant)


async def a_tenant(database, tenant, zone="Europe/Berlin"):
    settings = {"timeZone": zone}
    await ensure_tenant_indexes(database, tenant)
    await database.tenants.insert_one(Tenant(id=tenant, tenant=tenant, name="Test", settings=settings).stored())
    return Scope(tenant, "usr_test")


async def some_drivers(database, scope, count=3):
    return [
        driver.id
        for driver in await DriverRepository(database, PARTITIONS).create_many(
            scope, [NewDriver(f"Van {n}") for n in range(count)]
        )
    ]


async def caught_up(database):
    async def is_current():
        events = EventRepository(database)
        place = await CursorRepository(database).get(FOLLOWER)
        return await events.queued_since() is None and place == await events.newest()

    assert await eventually(is_current, within_s=20)


async def sums(database, scope):
    """Return all buckets of the book in use, without zeros."""
    book = (await BookRepository(database).shelf(scope)).current
    found = database.analytics_buckets.find({"tenant": scope.tenant, "generation": book.generation})
    return {
        (one["level"], one["key"], one["period"], name): amount
        async for one in found
        for name, amount in one["amounts"].items()
        if amount
    }


class Traffic:
    """Random lives of deliveries and trips of one tenant, by clocks that need not agree."""

    def __init__(self, database, scope, drivers, seed):
        self.commands, self.motion = DeliveryCommands(database, PARTITIONS), MotionRepository(database)
        self.scope, self.drivers, self.chance, self.deliveries = scope, drivers, random.Random(seed), []

    async def go_on(self, changes):
        for _ in range(changes):
            await self.chance.choice([self.create, self.move, self.move, self.move, self.move, self.edit, self.drive])()

    async def create(self):
        made = self.moment()
        delivery = Delivery(
            id=new_id("dlv"),
            tenant=self.scope.tenant,
            pickup=Place(latitude=41.15, longitude=-8.61),
            dropoff=Place(latitude=41.2, longitude=-8.6),
            time_window=self.window(),
            route=self.chance.choice([None, "rte_1", "rte_2"]),
            created_at=made,
            updated_at=made,
        )
        driver = self.chance.choice([None, *self.drivers])
        self.deliveries.append((await self.commands.create(self.scope, [Order(delivery, driver)]))[0].id)

    async def move(self):
        if not self.deliveries:
            return
        delivery = self.chance.choice(self.deliveries)
        with contextlib.suppress(ForbiddenTransition):
            if self.chance.random() < 0.3:
                await self.commands.assign(self.scope, delivery, self.chance.choice(self.drivers), None)
        for _ in range(3):
            with contextlib.suppress(ForbiddenTransition):
                move = Move(self.chance.choice(WANTED), self.moment(), "usr_test")
                await self.commands.move(self.scope, delivery, move, None)

    async def edit(self):
        if self.deliveries:
            fields = {"time_window": self.window(), "route": self.chance.choice([None, "rte_2", "rte_3"])}
            with contextlib.suppress(Conflict):
                edit = Edit(fields, self.moment())
                await self.commands.edit(self.scope, self.chance.choice(self.deliveries), edit, None)

    async def drive(self):
        driver, start = self.chance.choice(self.drivers), int(self.moment().timestamp() * 1000)
        await a_trip(self.motion, self.scope, driver, start, start + 600_000, self.chance.randrange(9000) / 7)

    def moment(self):
        return MORNING + datetime.timedelta(seconds=self.chance.randrange(-3600, 40 * 3600))

    def window(self):
        start = self.moment()
        return self.chance.choice([None, TimeWindow(start=start, end=start + datetime.timedelta(hours=2))])


async def a_trip(motion, scope, driver, start_ms, end_ms, distance_m):
    trip = {"tenant": scope.tenant, "driver": driver, "from": start_ms, "to": end_ms, "distanceM": distance_m}
    await motion.save_trips([{"_id": f"trp_{driver}{start_ms}"} | trip])
    await motion.add_events([a_motion_event(scope, "driver.trip_ended", driver, start_ms, end_ms)])


def a_motion_event(scope, kind, driver, since_ms, end_ms):
    fields = {"_id": new_id("evt"), "tenant": scope.tenant, "type": kind, "aggregate": driver, "sequence": 1}
    time = datetime.datetime.fromtimestamp(end_ms / 1000, datetime.UTC)
    return fields | {"schema": 1, "time": time, "data": {"driver": driver, "since": since_ms}}


async def test_figures_kept_by_events_are_those_of_a_rebuild(database, feed, scope):
    other = await a_tenant(database, f"{scope.tenant}b", "Asia/Kathmandu")
    traffics = [Traffic(database, one, await some_drivers(database, one), 7) for one in (scope, other)]
    await asyncio.gather(*(traffic.go_on(150) for traffic in traffics))
    await caught_up(database)
    for one in (scope, other):
        kept = await sums(database, one)
        assert kept["fleet", "", "M2026-03", "created"] > 10
        await FigureRebuild(database, one).run()
        assert await sums(database, one) == kept


async def test_a_rebuild_in_the_middle_of_traffic_loses_and_doubles_nothing(database, feed, scope):
    traffic = Traffic(database, scope, await some_drivers(database, scope), 11)
    await traffic.go_on(60)
    going_on = asyncio.create_task(traffic.go_on(150))
    for _ in range(3):
        await FigureRebuild(database, scope).run()
    await going_on
    await caught_up(database)
    kept = await sums(database, scope)
    await FigureRebuild(database, scope).run()
    assert await sums(database, scope) == kept
    assert len(await database.analytics_buckets.distinct("generation", {"tenant": scope.tenant})) == 1
    facts = [fact["_id"] async for fact in database.analytics_facts.find({"tenant": scope.tenant}, {"_id": 1})]
    assert len(facts) == len({fact.split("/", 2)[2] for fact in facts})


async def test_what_is_taken_again_changes_nothing(database, feed, scope):
    await Traffic(database, scope, await some_drivers(database, scope), 3).go_on(40)
    await caught_up(database)
    await feed.stop()
    kept = await sums(database, scope)
    await database.cursors.update_one({"_id": FOLLOWER}, {"$set": {"number": 0}})
    await feed.start()
    await caught_up(database)
    assert await sums(database, scope) == kept


async def test_trips_that_late_fixes_change_are_corrected(database, feed, scope):
    [driver] = await some_drivers(database, scope, 1)
    motion = MotionRepository(database)
    start = int(MORNING.timestamp() * 1000)
    await a_trip(motion, scope, driver, start, start + 600_000, 5000.0)
    await a_trip(motion, scope, driver, start + 1_200_000, start + 1_800_000, 7000.0)
    await caught_up(database)
    whole = {
        "tenant": scope.tenant,
        "driver": driver,
        "from": start + 1,
        "to": start + 1_800_000,
        "distanceM": 12_500.0,
    }
    await motion.replace_from(scope, driver, start, [whole | {"_id": "trp_whole"}], [])
    await motion.add_events([a_motion_event(scope, "driver.trips_repaired", driver, start, start + 1_800_000)])
    await caught_up(database)
    found = await sums(database, scope)
    assert found["driver", driver, "2026-03-28", "drivenM"] == found["fleet", "", "M2026-03", "drivenM"] == 12_500
    assert found["fleet", "", "2026-03-28", "trips"] == 1


async def test_a_driver_who_was_silent_for_years_has_one_trip(database, feed, scope):
    """A clock that was wrong makes a trip from long ago; it costs no more than another."""
    [driver] = await some_drivers(database, scope, 1)
    start = int(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000)
    await a_trip(MotionRepository(database), scope, driver, start, int(MORNING.timestamp() * 1000), 5.0)
    await caught_up(database)
    assert (await sums(database, scope))["driver", driver, "2000-01-01", "trips"] == 1


async def test_events_go_into_the_book_that_a_rebuild_fills_as_well(database, feed, scope):
    traffic, books = Traffic(database, scope, [], 29), BookRepository(database)
    book = await books.begin(scope, "UTC")
    await traffic.create()
    await caught_up(database)
    assert await books.facts(scope, book, traffic.deliveries)
    assert await books.facts(scope, (await books.shelf(scope)).current, traffic.deliveries)
    assert await books.insert_facts(scope, book, {traffic.deliveries[0]: {}, "dlv_another": {}}) == {"dlv_another"}


async def test_a_rebuild_that_breaks_off_leaves_the_old_figures(database, feed, scope):
    traffic = Traffic(database, scope, await some_drivers(database, scope), 23)
    await traffic.go_on(30)
    await caught_up(database)
    kept = await sums(database, scope)

    def broken(_):
        raise RuntimeError("broken off")

    with pytest.raises(RuntimeError):
        await FigureRebuild(database, scope).run(broken)
    assert (await BookRepository(database).shelf(scope)).building is None
    assert await sums(database, scope) == kept
    await traffic.go_on(10)
    await caught_up(database)
    kept = await sums(database, scope)
    await FigureRebuild(database, scope).run()
    assert await sums(database, scope) == kept


async def test_changes_that_a_delivery_no_longer_keeps_are_counted_from_its_events(database, feed, scope):
    [driver] = await some_drivers(database, scope, 1)
    commands = DeliveryCommands(database, PARTITIONS)
    delivery = Delivery(id=new_id("dlv"), tenant=scope.tenant, dropoff=Place(latitude=41.2, longitude=-8.6))
    await commands.create(scope, [Order(delivery, None)])
    for _ in range(MAX_HISTORY // 2 + 5):
        await commands.assign(scope, delivery.id, driver, None)
        await commands.move(scope, delivery.id, Move("declined", now(), "usr_test"), None)
    await caught_up(database)
    questions = FigureQuestions(database, scope)
    reading = await questions.open()
    days = Days(reading.today - datetime.timedelta(days=1), reading.today)
    assert (await questions.total(reading.book, days))["assigned"] == MAX_HISTORY // 2 + 5


async def test_another_time_zone_makes_other_days(database, feed, scope):
    worker = TaskWorker(database, {"analytics-rebuild": rebuild_kind(database)})
    await Traffic(database, scope, await some_drivers(database, scope), 5).go_on(60)
    await caught_up(database)
    before = await sums(database, scope)
    await TenantCommands(database).change(scope, {}, {"time_zone": "Pacific/Auckland"}, None)
    await caught_up(database)
    await worker.start()

    async def has_moved():
        return (await BookRepository(database).shelf(scope)).current.zone == "Pacific/Auckland"

    assert await eventually(has_moved, within_s=10)
    await worker.stop()
    after = await sums(database, scope)
    assert after != before
    assert _of_all(after) == _of_all(before)


def _of_all(found):
    totals = {}
    for (level, key, period, name), amount in found.items():
        if not period.startswith("M"):
            totals[level, key, name] = totals.get((level, key, name), 0) + amount
    return totals


async def test_one_rebuild_of_a_tenant_is_at_work_at_a_time(database, scope):
    lease = Lease(database, f"analytics-rebuild/{scope.tenant}", "another", 60)
    assert await lease.acquire()
    with pytest.raises(Conflict):
        await FigureRebuild(database, scope).run()


async def test_the_command_rebuilds_in_the_database_of_a_running_installation(database, stores, scope, capsys):
    await Traffic(database, scope, await some_drivers(database, scope), 19).go_on(10)
    assert not await sums(database, scope)
    settings = Settings(var=stores.mongo._folder.parent, database=database.name, master_keys=MASTER_KEYS)
    await rebuild_figures(settings, scope.tenant)
    assert (await sums(database, scope))["fleet", "", "M2026-03", "created"] > 0
    assert f"{scope.tenant}: rebuilt in" in capsys.readouterr().err
    with pytest.raises(typer.BadParameter):
        await rebuild_figures(settings, "ten_nobody")


async def test_answers_say_up_to_when_they_know_things(database, scope):
    questions = FigureQuestions(database, scope)
    await Traffic(database, scope, await some_drivers(database, scope), 2).create()
    await number(database, 100)
    [first] = await EventRepository(database).after(scope, 0, 1)
    assert (await questions.open()).as_of == first.time
    feed = Feed(database, [FigureFollower(database)])
    await feed.start()
    await caught_up(database)
    await feed.stop()
    assert (await questions.open()).as_of > now() - datetime.timedelta(minutes=1)


async def test_sums_over_any_days_are_those_of_the_single_days(database, feed, scope):
    drivers = await some_drivers(database, scope)
    await Traffic(database, scope, drivers, 13).go_on(80)
    await caught_up(database)
    questions = FigureQuestions(database, scope)
    book = (await questions.open()).book
    days = Days(datetime.date(2026, 2, 27), datetime.date(2026, 4, 2))
    for subject in (FLEET, Subject("driver", drivers[0]), Subject("route", "rte_2")):
        total = {name: amount for name, amount in (await questions.total(book, days, subject)).items() if amount}
        for grain in ("day", "week", "month"):
            parts = {}
            for _, amounts in await questions.by_period(book, days, grain, subject):
                for name, amount in amounts.items():
                    parts[name] = parts.get(name, 0) + amount
            assert {name: amount for name, amount in parts.items() if amount} == total
    by_driver = dict(await questions.by_key(book, days, "driver", limit=10))
    assert sorted(by_driver) == sorted(drivers)
    assert await questions.count_drivers(book, days) == 3


async def test_every_question_and_correction_is_answered_by_an_index(database, feed, scope):
    """What is really asked, noted by MongoDB's profiler and explained: no collection is ever scanned."""
    places = {place.name: place for place in (database.shared, database.of(scope.tenant))}.values()
    driver, *_ = await some_drivers(database, scope)
    traffic = Traffic(database, scope, [driver], 17)
    days = Days(datetime.date(2026, 2, 27), datetime.date(2026, 4, 2))
    for place in places:
        await place.command("profile", 2)
    await traffic.go_on(20)
    await caught_up(database)
    questions = FigureQuestions(database, scope)
    book = (await questions.open()).book
    await questions.total(book, days, Subject("driver", driver))
    await questions.by_period(book, days, "week")
    await questions.by_key(book, days, "driver", limit=10)
    await questions.count_drivers(book, days)
    stages = {"buckets": set(), "facts": set(), "trips": set()}
    for place in places:
        await place.command("profile", 0)
        async for noted in place["system.profile"].find({"op": {"$in": ["query", "command"]}}):
            name = noted["ns"].rpartition(".")[2].removeprefix("analytics_")
            if name in stages and ("find" in noted["command"] or "aggregate" in noted["command"]):
                command = {key: value for key, value in noted["command"].items() if key in EXPLAINED}
                stages[name] |= stages_of(await place.command("explain", command, verbosity="queryPlanner"))
    assert stages["buckets"] >= {"IXSCAN", "PROJECTION_COVERED"}
    assert stages["facts"] & {"IXSCAN", "IDHACK"}
    assert "IXSCAN" in stages["trips"]
    assert "COLLSCAN" not in set().union(*stages.values())


EXPLAINED = {"find", "filter", "projection", "sort", "limit", "aggregate", "pipeline", "cursor", "hint"}


def stages_of(explanation):
    """Return the stages of the plans that won."""
    if isinstance(explanation, list):
        return {stage for part in explanation for stage in stages_of(part)}
    if not isinstance(explanation, dict):
        return set()
    inner = [part for name, part in explanation.items() if name not in ("rejectedPlans", "slotBasedPlan", "command")]
    return stages_of(inner) | ({explanation["stage"]} if "stage" in explanation else set())
