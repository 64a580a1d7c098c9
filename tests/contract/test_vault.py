"""Personal data at rest against a real MongoDB: sealed, searchable by phone, and clear about keys that are missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.privacy.rotation import DataRotation
from models.documents.delivery import Customer, Delivery, Place
from models.documents.event import Event
from models.errors import BadSettings, Unreadable
from models.ids import new_id
from models.store.audit import AuditFilter, AuditRepository
from models.store.connections import connect_mongo
from models.store.deliveries import DeliveryFilter, DeliveryRepository
from models.store.outbox import Announcement
from models.store.paging import PageRequest
from models.store.personal import KEY_NUMBER, opened, sealed
from models.store.resealing import ResealRepository
from models.store.scope import Scope
from tests.stack import MASTER_KEYS

OTHER_KEYS = (SecretStr("another master key, thirty-two bytes or more"),)
PHONE = "+351 912 345 678"


@pytest.fixture
async def own(stores, prefix):
    """Return a function that connects to a database of this test alone with some master keys."""
    made = []

    def connect(*keys):
        made.append(connect_mongo(stores.mongo_url, prefix, keys))
        return made[-1]

    yield connect
    await made[0].client.drop_database(prefix)
    for database in made:
        database.client.close()


def a_delivery(tenant, **fields):
    usual = {"dropoff": Place(address="12 Elm Street"), "customer": Customer(name="Rui Sá", phone=PHONE)}
    return Delivery(id=new_id("dlv"), tenant=tenant, **(usual | fields))


def an_event(delivery):
    event = Event(
        id=new_id("evt"),
        tenant=delivery.tenant,
        time=delivery.created_at,
        type="delivery.created",
        aggregate=delivery.id,
        sequence=1,
        actor="usr_1",
    )
    return Announcement(event, after=delivery)


async def test_a_delivery_comes_back_as_it_was_and_mongodb_sees_none_of_it(store, tenant):
    repository, delivery = DeliveryRepository(store), a_delivery(tenant, notes="ring twice")
    await repository.create([delivery], [])
    assert await repository.get(Scope(tenant, "usr_1"), delivery.id) == delivery
    raw = await store.deliveries.find_one({"_id": delivery.id, "tenant": tenant})
    hidden = (raw["customer"]["name"], raw["customer"]["phone"], raw["dropoff"]["address"], raw["notes"])
    assert all(isinstance(value, bytes) for value in hidden)


async def test_what_an_older_release_stored_in_clear_is_read(store, tenant):
    delivery = a_delivery(tenant)
    await store.deliveries.insert_one(delivery.stored())
    assert await DeliveryRepository(store).get(Scope(tenant, "usr_1"), delivery.id) == delivery


async def test_a_phone_is_found_however_it_is_written_through_an_index(store, tenant):
    repository, scope = DeliveryRepository(store), Scope(tenant, "usr_1")
    written = [PHONE, "00351912345678", "+351 (912) 345-678", "+351 912 345 679"]
    made = [a_delivery(tenant, customer=Customer(phone=phone)) for phone in written]
    await repository.create(made, [])
    found = await repository.page(scope, PageRequest(10), DeliveryFilter(phone="+351912345678"), newest_first=False)
    assert [delivery.id for delivery in found.items] == [delivery.id for delivery in made[:3]]
    keys = await store.vault.keys(tenant)
    query = {"tenant": tenant, "phoneToken": {"$in": keys.all_tokens("+351912345678")}}
    plan = await store.deliveries.find(query).sort("_id", -1).limit(10).explain()
    assert plan["executionStats"]["totalDocsExamined"] == 3
    assert plan["executionStats"]["totalKeysExamined"] <= 4


async def test_equal_values_look_different_and_equal_tokens_are_equal(store, tenant):
    keys = await store.vault.keys(tenant)
    assert keys.seal("f", "same") != keys.seal("f", "same")
    assert keys.token("same") == keys.token("same") != keys.token("other")


async def test_a_value_opens_in_its_place_alone(store, tenant):
    keys, others = await store.vault.keys(tenant), await store.vault.keys(f"{tenant}x")
    value = keys.seal("deliveries.notes", "secret")
    flipped = bytes([*value[:-1], value[-1] ^ 1])
    for holder, field, changed in ((keys, "audit.notes", value), (others, "deliveries.notes", value)):
        with pytest.raises(Unreadable):
            holder.open(field, changed)
    for changed in (flipped, value[:9], b""):
        with pytest.raises(Unreadable):
            keys.open("deliveries.notes", changed)


_SCALARS = st.none() | st.booleans() | st.text(max_size=5)
_ANYTHING = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner))


@given(
    st.fixed_dictionaries(
        {"_id": st.text()},
        optional={
            "customer": st.fixed_dictionaries({}, optional={"name": st.none() | st.text(), "phone": st.text()}),
            "pickup": st.none()
            | st.fixed_dictionaries({"radiusM": st.integers(0, 9)}, optional={"address": st.text()}),
            "notes": st.text(),
            "history": st.lists(st.fixed_dictionaries({"status": st.text()}, optional={"notes": st.text()})),
            "other": _ANYTHING,
        },
    )
)
async def test_any_document_comes_back_as_it_was(database, fields):
    stored = await sealed(database.vault, "deliveries", "ten_any", fields)
    back = await opened(database.vault, "deliveries", "ten_any", stored)
    assert {name: value for name, value in back.items() if name != KEY_NUMBER} == fields


async def test_another_master_key_is_refused_at_start(own):
    await own(*MASTER_KEYS).vault.check()
    with pytest.raises(BadSettings, match="OUTRIDER_MASTER_KEYS"):
        await own(*OTHER_KEYS).vault.check()
    with pytest.raises(BadSettings, match="is not set"):
        await own().vault.check()
    with pytest.raises(BadSettings, match="32 bytes"):
        own(SecretStr("short"))
    await own(*OTHER_KEYS, *MASTER_KEYS).vault.check()


async def test_a_master_key_that_was_renewed_reaches_who_runs(stores, own, tenant):
    keys = [MASTER_KEYS[0].get_secret_value()]
    found = tuple(keys)
    running = connect_mongo(stores.mongo_url, own(*MASTER_KEYS).name, lambda: found)
    before = await running.vault.keys(tenant)
    renewed = own(*OTHER_KEYS, *MASTER_KEYS)
    await renewed.vault.rewrap(tenant)
    with pytest.raises(Unreadable):
        await running.vault.reread(tenant)
    found = (OTHER_KEYS[0].get_secret_value(), *keys)
    sealed_before = before.seal("notes", "the blue door")
    assert (await running.vault.reread(tenant)).open("notes", sealed_before) == "the blue door"
    found = ("short",)
    assert (await running.vault.reread(tenant)).open("notes", sealed_before) == "the blue door"
    running.client.close()


async def test_nothing_is_read_or_written_with_another_master_key(own, tenant):
    delivery = a_delivery(tenant)
    await DeliveryRepository(own(*MASTER_KEYS)).create([delivery], [])
    stranger = DeliveryRepository(own(*OTHER_KEYS))
    with pytest.raises(Unreadable):
        await stranger.get(Scope(tenant, "usr_1"), delivery.id)
    with pytest.raises(Unreadable):
        await stranger.create([a_delivery(tenant)], [])


async def test_a_new_data_key_leaves_everything_readable_and_searchable(own, tenant):
    old, new = own(*MASTER_KEYS), own(*OTHER_KEYS, *MASTER_KEYS)
    scope, first, second = Scope(tenant, "usr_1"), a_delivery(tenant), a_delivery(tenant)
    await DeliveryRepository(old).create([first], [])
    await new.vault.rewrap(tenant)
    assert (await new.vault.renew(tenant)).number == 2
    await DeliveryRepository(new).create([second], [])
    later = DeliveryRepository(own(*OTHER_KEYS))  # the old master key may go now
    assert [await later.get(scope, one.id) for one in (first, second)] == [first, second]
    found = await later.page(scope, PageRequest(10), DeliveryFilter(phone=PHONE), newest_first=False)
    assert len(found.items) == 2


async def test_a_rotation_seals_everything_anew_also_what_was_in_clear(own, tenant):
    old, new = own(*MASTER_KEYS), own(*OTHER_KEYS, *MASTER_KEYS)
    scope, told = Scope(tenant, "usr_1"), []
    made = [a_delivery(tenant, notes=f"note {number}") for number in range(5)]
    await DeliveryRepository(old).create(made[:3], [an_event(made[0])])
    await old.of(tenant).deliveries.insert_many([delivery.stored() for delivery in made[3:]])
    assert await DataRotation(new, settle_s=0).run(lambda done, total: told.append((done, total))) == 6
    assert told[0] == (0, 6)
    assert told[-1] == (6, 6)
    later = own(*OTHER_KEYS)
    await later.vault.check()
    assert [await DeliveryRepository(later).get(scope, one.id) for one in made] == made
    found = await DeliveryRepository(later).page(scope, PageRequest(9), DeliveryFilter(phone=PHONE), newest_first=False)
    assert len(found.items) == 5
    assert {fields["dataKey"] async for fields in later.deliveries.find({"tenant": tenant})} == {2}
    [entry] = (await AuditRepository(later).page(scope, PageRequest(9), AuditFilter())).items
    assert ("customer.phone", PHONE) in [(change.field, change.after) for change in entry.changes]


async def test_a_rotation_that_was_broken_off_goes_on_with_its_key(own, tenant):
    database = own(*MASTER_KEYS)
    made = [a_delivery(tenant) for _ in range(250)]
    await DeliveryRepository(database).create(made, [])

    def stop(done, total):
        if done >= 200:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await DataRotation(database, settle_s=0).run(stop)
    assert await DataRotation(database, settle_s=0).run(lambda done, total: None) == 50
    assert (await database.vault.keys(tenant)).number == 2
    assert await DataRotation(database, settle_s=0).run(lambda done, total: None) == 250  # a new one begins anew


async def test_a_rotation_ends_when_nothing_is_left_although_deliveries_move_all_the_while(own, tenant):
    """A move leaves what is sealed as it is: the rotation that it came between has to come again."""
    database = own(*MASTER_KEYS)
    await DeliveryRepository(database).create([a_delivery(tenant) for _ in range(3)], [])
    original, left = ResealRepository._reseal, 5

    async def reseal_after_a_move(self, collection, owner, fields):
        nonlocal left
        if collection == "deliveries" and owner == tenant and left:
            left -= 1
            await database.deliveries.update_one({"_id": fields["_id"], "tenant": tenant}, {"$inc": {"version": 1}})
        return await original(self, collection, owner, fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResealRepository, "_reseal", reseal_after_a_move)
        await DataRotation(database, settle_s=0).run(lambda done, total: None)
    assert left == 0
    assert await ResealRepository(database).stale(tenant, 2) == 0
    assert await ResealRepository(database).is_settled(tenant)


async def test_a_change_during_a_rotation_is_never_undone(own, tenant):
    """A change comes between reading and writing of every document: the rotation leaves it alone, and comes again."""
    database, scope = own(*MASTER_KEYS), Scope(tenant, "usr_1")
    repository, made = DeliveryRepository(database), [a_delivery(tenant) for _ in range(3)]
    await repository.create(made, [])
    await database.vault.renew(tenant)
    stored = ResealRepository(database)
    original = database.vault.keys

    async def keys_after_a_change(owner):
        if changed := [delivery for delivery in made if delivery.version == 1]:
            made.remove(changed[0])
            after = changed[0].model_copy(update={"version": 2, "notes": "changed meanwhile"})
            made.append(after)
            await repository.replace(after, expected=1, announcements=[])
        return await original(owner)

    database.vault.keys = keys_after_a_change
    _, count = await stored.reseal("deliveries", tenant, 2, "", 10)
    assert count == 0
    for delivery in made:
        assert await repository.get(scope, delivery.id) == delivery
    assert await stored.stale(tenant, 2) == 0
