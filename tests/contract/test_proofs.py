"""Proof of delivery: pictures by content, once each, asked for where wanted, and gone when no proof names them."""

import datetime
import hashlib
import uuid

import pytest
import pytest_asyncio

from engine.deliveries.proofs import CLEARING, proof_clearing, proofs_of
from engine.settings import ProofSettings
from models.documents.document import now
from models.documents.proof import ProofFile
from models.errors import Conflict
from models.ids import new_id
from models.store.objects import ObjectContent
from models.store.proofs import GridContent, ProofStore
from models.store.scope import Scope
from models.store.tasks import Room, TaskRepository
from tests.rest import PASSWORD, Caller, client_of, running_api

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(500)
PLACE = {"latitude": 41.15, "longitude": -8.61}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(running):
    async with client_of(running[0]) as http:
        yield await Caller(http).registered()


async def upload(caller, delivery, data=JPEG, **query):
    return await caller.ask("POST", f"deliveries/{delivery['id']}/proofs", content=data, params=query)


async def at_the_door(admin, **fields):
    driver = await admin.make("drivers", {"name": "Ana"})
    delivery = await admin.make("deliveries", {"dropoff": PLACE, "driverId": driver["id"]} | fields)
    for status in ("accepted", "picked_up", "in_transit", "arrived"):
        await admin.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status})
    return delivery


async def deliver(caller, delivery, **fields):
    body = {"status": "delivered"} | fields
    return await caller.ask("PATCH", f"deliveries/{delivery['id']}/status", json=body)


async def a_phone(admin, driver):
    key = await admin.make("keys", {"kind": "device", "driverId": driver})
    return admin.with_token(key["key"])


async def test_a_photo_and_a_signature_come_with_delivered(admin):
    delivery = await at_the_door(admin)
    photo, signature = (
        (await upload(admin, delivery)).json(),
        (await upload(admin, delivery, PNG, kind="signature")).json(),
    )
    assert (photo["contentType"], photo["size"], photo["sha256"]) == (
        "image/jpeg",
        len(JPEG),
        hashlib.sha256(JPEG).hexdigest(),
    )
    proof = {"photos": [photo["id"]], "signature": signature["id"], "recipient": "Rui", "note": "at the gate"}
    done = await deliver(admin, delivery, proof=proof | {"location": PLACE})
    assert done.status_code == 200, done.text
    assert done.json()["proof"]["recipient"] == "Rui"
    shown = (await admin.ask("GET", f"deliveries/{delivery['id']}/proof")).json()
    assert ([one["id"] for one in shown["photos"]], shown["signature"]["id"]) == ([photo["id"]], signature["id"])
    assert (shown["note"], shown["location"]) == ("at the gate", PLACE)
    content = await admin.ask("GET", f"proofs/{photo['id']}/content")
    assert (content.content, content.headers["content-type"]) == (JPEG, "image/jpeg")
    assert content.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("data", "kind"), [(JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp")])
async def test_a_form_does_as_well_and_its_names_do_not_count(admin, data, kind):
    delivery = await at_the_door(admin)
    files = {"file": ("evil.html", data, "text/html")}
    answer = await admin.ask("POST", f"deliveries/{delivery['id']}/proofs", files=files)
    assert (answer.status_code, answer.json()["contentType"]) == (201, kind)


@pytest.mark.parametrize("data", [b"", b"<html>", b"GIF89a", b"RIFF....WAVE", b"\xff\xd8"])
async def test_what_is_no_picture_is_refused(admin, data):
    answer = await upload(admin, await at_the_door(admin), data)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")


async def test_ten_megabytes_go_and_one_byte_more_does_not(admin, running):
    delivery, most = await at_the_door(admin), running[1].settings.proofs.max_bytes
    assert (await upload(admin, delivery, JPEG.ljust(most, b"x"))).status_code == 201
    assert (await upload(admin, delivery, JPEG.ljust(most + 1, b"x"))).status_code == 413
    assert (await upload(admin, delivery, JPEG.ljust(most + 2**20, b"x"))).status_code == 413


async def test_the_same_bytes_twice_are_one_file(admin):
    delivery, other = await at_the_door(admin), await at_the_door(admin)
    first, again = (await upload(admin, delivery)).json(), (await upload(admin, delivery)).json()
    assert first == again
    assert (await upload(admin, other)).json()["id"] != first["id"]


async def test_a_part_of_it_by_range_and_nothing_to_who_has_it(admin):
    file = (await upload(admin, await at_the_door(admin))).json()

    async def read(**headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await admin.ask("GET", f"proofs/{file['id']}/content", headers=names)

    whole = await read()
    for header, part in (("bytes=0-9", JPEG[:10]), ("bytes=-7", JPEG[-7:]), ("bytes=10000-", JPEG[10000:])):
        answer = await read(Range=header)
        assert (answer.status_code, answer.content) == (206, part)
    assert answer.headers["content-range"] == f"bytes 10000-{len(JPEG) - 1}/{len(JPEG)}"
    assert (await read(Range="bytes=99999-")).status_code == 416
    assert (await read(Range="bytes=5-2")).status_code == 200
    assert (await read(Range="bytes=0-1", If_Range='"other"')).content == JPEG
    unchanged = await read(If_None_Match=whole.headers["etag"])
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_a_company_may_ask_for_it(admin):
    await admin.ask("PATCH", "tenant", json={"settings": {"proofRequired": True}})
    delivery = await at_the_door(admin)
    refused = await deliver(admin, delivery, proof={"recipient": "Rui"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "proof")
    photo = (await upload(admin, delivery)).json()
    given = await admin.ask("PUT", f"deliveries/{delivery['id']}/proof", json={"photos": [photo["id"]]})
    assert (given.status_code, given.json()["status"]) == (200, "arrived")
    assert (await deliver(admin, delivery)).status_code == 200


async def test_files_of_another_delivery_or_kind_prove_nothing(admin):
    delivery, other = await at_the_door(admin), await at_the_door(admin)
    theirs, photo = (await upload(admin, other)).json(), (await upload(admin, delivery)).json()
    wrong = await deliver(admin, delivery, proof={"photos": [photo["id"], theirs["id"]], "signature": photo["id"]})
    fields = [error["field"] for error in wrong.json()["errors"]]
    assert (wrong.status_code, fields) == (422, ["proof.photos.1", "proof.signature"])
    early = await admin.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": "arrived", "proof": {}})
    assert (early.status_code, early.json()["errors"][0]["field"]) == (422, "proof")


async def test_there_is_nothing_to_prove_before_pick_up(admin):
    delivery = await admin.make("deliveries", {"dropoff": PLACE})
    assert (await admin.ask("PUT", f"deliveries/{delivery['id']}/proof", json={})).status_code == 409
    assert (await admin.ask("GET", f"deliveries/{delivery['id']}/proof")).status_code == 404


async def test_a_driver_sees_the_proofs_of_its_own_deliveries_alone(admin):
    delivery, other = await at_the_door(admin), await at_the_door(admin)
    phone = await a_phone(admin, delivery["driverId"])
    file, theirs = (await upload(phone, delivery)).json(), (await upload(admin, other)).json()
    assert (await phone.ask("GET", f"proofs/{file['id']}/content")).status_code == 200
    assert (await phone.ask("GET", f"proofs/{theirs['id']}/content")).status_code == 404
    assert (await upload(phone, other)).status_code == 404
    async with client_of(admin.http._transport.app) as http:
        stranger = await Caller(http).registered()
        assert (await stranger.ask("GET", f"proofs/{file['id']}/content")).status_code == 404


async def test_what_no_proof_names_is_dropped_and_what_one_names_stays(admin, running):
    services = running[1]
    delivery = await at_the_door(admin)
    kept, loose = (await upload(admin, delivery)).json(), (await upload(admin, delivery, PNG)).json()
    assert (await deliver(admin, delivery, proof={"photos": [kept["id"]]})).status_code == 200
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    tasks = TaskRepository(services.database)
    assert not [task for task in await tasks.claim({CLEARING: Room(1000, 60)}) if task.tenant == tenant], (
        "not before its time"
    )
    await services.database.tasks.update_many({"tenant": tenant}, {"$set": {"due": now()}})
    due = [task for task in await tasks.claim({CLEARING: Room(1000, 60)}) if task.tenant == tenant]
    assert len(due) == 2
    clearing = proof_clearing(services.database, services.settings.proofs)
    for task in [*due, *due]:  # a repeat harms nothing
        await clearing.handle(task)
    assert (await admin.ask("GET", f"proofs/{kept['id']}/content")).content == JPEG
    assert (await admin.ask("GET", f"proofs/{loose['id']}/content")).status_code == 404
    assert await services.database["proof_content.chunks"].count_documents({"files_id": {"$regex": loose["id"]}}) == 0
    late = await deliver(admin, await at_the_door(admin), proof={"photos": [loose["id"]]})
    assert late.status_code == 422


async def test_all_files_of_a_delivery_can_be_deleted(admin, running):
    services, delivery = running[1], await at_the_door(admin)
    file = (await upload(admin, delivery)).json()
    scope = Scope((await admin.ask("GET", "auth/profile")).json()["tenantId"], "usr_1")
    proofs = proofs_of(services.database, services.settings.proofs)
    assert await proofs.delete_of(Scope("ten_other", "usr_1"), delivery["id"]) == 0
    assert await proofs.delete_of(scope, delivery["id"]) == 1
    assert (await admin.ask("GET", f"proofs/{file['id']}/content")).status_code == 404
    assert await services.database["proof_content.files"].count_documents({"_id": {"$regex": delivery["id"]}}) == 0


@pytest.fixture(params=["gridfs", "folder"])
def content(request, database, tmp_path):
    return GridContent(database) if request.param == "gridfs" else ObjectContent(f"file://{tmp_path / 'proofs'}")


async def test_every_store_of_files_keeps_overwrites_and_drops(content):
    key = f"ten_1/{uuid.uuid4().hex}"
    await content.delete(key)
    await content.put(key, b"old")
    await content.put(key, bytes(range(256)) * 2000)
    assert await content.read(key, 255, 258) == b"\xff\x00\x01"
    await content.delete(key)
    await content.delete(key)


async def test_an_upload_that_died_is_taken_over(content, database, tenant):
    """A second sender of the same waits while the first is at it, and takes its place when the first has died."""
    proofs, scope = ProofStore(database, content), Scope(tenant, "usr_1")
    fields = {"tenant": tenant, "delivery": "dlv_1", "kind": "photo", "content_type": "image/jpeg", "size": len(JPEG)}
    first, second = (ProofFile(id=new_id("prf"), digest="d", by="usr_1", **fields) for _ in range(2))
    await proofs.records.claim(first)
    with pytest.raises(Conflict):
        await proofs.store(second, JPEG)
    assert await proofs.records.of(scope, "dlv_1") == {}
    long_ago = now() - datetime.timedelta(minutes=5)
    await database.proofs.update_one({"_id": first.id, "tenant": tenant}, {"$set": {"createdAt": long_ago}})
    stored = await proofs.store(second, JPEG)
    assert stored.id == first.id
    assert await proofs.read(stored, 0, 10) == JPEG[:10]


def test_the_settings_choose_the_store(database, tmp_path):
    proofs = proofs_of(database, ProofSettings(store=f"file://{tmp_path}"))
    assert isinstance(proofs._content, ObjectContent)
    assert isinstance(proofs_of(database, ProofSettings())._content, GridContent)


async def test_a_driver_signs_in_and_proves(admin):
    delivery = await at_the_door(admin)
    email = f"{uuid.uuid4().hex}@test.pt"
    user = {"email": email, "password": PASSWORD, "role": "driver", "driverId": delivery["driverId"]}
    await admin.make("users", user)
    signed_in = (await admin.ask("POST", "auth/login", json={"email": email, "password": PASSWORD})).json()
    driver = admin.with_token(signed_in["accessToken"])
    photo = (await upload(driver, delivery)).json()
    done = await deliver(driver, delivery, proof={"photos": [photo["id"]]})
    assert (done.status_code, done.json()["proof"]["photos"]) == (200, [photo["id"]])
