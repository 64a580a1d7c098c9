"""Imports and exports of deliveries over REST, against real stores."""

import asyncio
import json
import uuid

import pytest
import pytest_asyncio

from engine.imports import commands
from engine.imports.commands import DeliveryImports
from models.documents.task import Task
from tests.rest import Caller, client_of, running_api

HEADING = "reference,dropoff.latitude,dropoff.longitude,dropoff.address,customer.phone,notes\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services), client_of(app) as http:
        yield Caller(http), services


@pytest_asyncio.fixture(loop_scope="session")
async def admin(company):
    return await company[0].registered()


async def send(caller, table, query="", kind="text/csv", **headers):
    return await caller.ask(
        "POST", f"deliveries/import{query}", content=table, headers={"Content-Type": kind} | headers
    )


async def listed(caller, query=""):
    return (await caller.ask("GET", f"deliveries?limit=200&sort=createdAt{query}")).json()["items"]


def a_row(reference, **cells):
    said = {"latitude": "41.15", "longitude": "-8.61", "address": "Rua das Flores 1", "phone": "", "notes": ""} | cells
    return (
        ",".join([reference, *(str(said[name]) for name in ("latitude", "longitude", "address", "phone", "notes"))])
        + "\n"
    )


async def test_each_row_becomes_a_delivery(admin):
    answer = await send(admin, HEADING + a_row("A1", phone="+351 912 345 678") + a_row("A2", latitude="", longitude=""))
    assert answer.status_code == 201, answer.text
    report = answer.json()
    assert (report["state"], report["created"], report["failed"], report["unlocated"]) == ("done", 2, 0, 1)
    assert [(row["row"], row["outcome"], row["located"]) for row in report["rows"]] == [
        (2, "created", True),
        (3, "created", False),
    ]
    made = await listed(admin)
    assert [one["id"] for one in made] == [row["id"] for row in report["rows"]]
    assert made[0]["customer"]["phone"] == "+351 912 345 678"
    assert (await admin.ask("GET", f"deliveries/imports/{report['id']}")).json() == report
    assert [one["id"] for one in (await admin.ask("GET", "deliveries/imports")).json()["items"]] == [report["id"]]


async def test_one_bad_row_keeps_all_out_and_every_fault_is_told(admin):
    table = HEADING + a_row("B1") + a_row("B2", latitude="91", phone="call me") + a_row("B3", latitude="")
    answer = await send(admin, table)
    assert (answer.status_code, answer.json()["code"]) == (422, "import-refused")
    assert answer.headers["content-type"] == "application/problem+json"
    faults = [(row["row"], [one["field"] for one in row["errors"]]) for row in answer.json()["rows"]]
    assert faults == [(2, []), (3, ["dropoff.latitude", "customer.phone"]), (4, ["dropoff"])]
    assert "rows.3.dropoff.latitude" in [one["field"] for one in answer.json()["errors"]]
    assert await listed(admin) == []


async def test_with_mode_valid_the_good_rows_come_in(admin):
    answer = await send(admin, HEADING + a_row("C1") + a_row("C2", latitude="x"), "?mode=valid")
    assert (answer.status_code, answer.json()["created"], answer.json()["failed"]) == (201, 1, 1)
    assert [one["reference"] for one in await listed(admin)] == ["C1"]


async def test_a_dry_run_stores_nothing(admin):
    answer = await send(admin, HEADING + a_row("D1") + a_row("D2", latitude="x"), "?dryRun=true")
    assert (answer.status_code, answer.json()["state"]) == (200, "checked")
    assert [row["outcome"] for row in answer.json()["rows"]] == ["created", "failed"]
    assert await listed(admin) == []
    assert (await admin.ask("GET", "deliveries/imports")).json()["items"] == []


@pytest.mark.parametrize(
    ("on_duplicate", "outcomes"), [("error", ["failed", "failed"]), ("skip", ["skipped", "skipped"])]
)
async def test_a_known_reference_is_told(admin, on_duplicate, outcomes):
    await send(admin, HEADING + a_row("E1"))
    table = HEADING + a_row("E2") + a_row("E1") + a_row("E2")
    answer = await send(admin, table, f"?mode=valid&onDuplicate={on_duplicate}")
    assert [row["outcome"] for row in answer.json()["rows"]] == ["created", *outcomes]
    assert [one["reference"] for one in await listed(admin)] == ["E1", "E2"]


async def test_an_update_changes_what_the_file_has_columns_for(admin):
    await send(admin, HEADING + a_row("F1", notes="ring twice") + a_row("F2", notes="stays"))
    rows = ["F1,41.2,-8.6,7", "F2,41.15,-8.61,", "F3,41.2,-8.6,1", "F3,41.3,-8.6,2"]
    table = "\n".join(["reference,dropoff.latitude,dropoff.longitude,weightKg", *rows, ""])
    answer = await send(admin, table, "?onDuplicate=update")
    assert [row["outcome"] for row in answer.json()["rows"]] == ["updated", "updated", "skipped", "created"]
    first, second, third = await listed(admin)
    assert (first["version"], first["weightKg"], first["notes"], first["dropoff"]["latitude"]) == (
        2,
        7,
        "ring twice",
        41.2,
    )
    assert (second["dropoff"]["address"], third["weightKg"], third["version"]) == (None, 2, 1)
    again = await send(admin, table.replace("F3,41.2,-8.6,1\n", ""), "?onDuplicate=update")
    assert [row["outcome"] for row in again.json()["rows"]] == ["skipped"] * 3


async def test_an_update_leaves_what_of_the_customer_and_a_place_the_file_has_no_column_for(admin):
    customer = {"name": "Emma Clarke", "phone": "+44 7700 900123", "email": "emma@mail.pt", "language": "de"}
    place = {"address": "Rua das Flores 12", "latitude": 41.14, "longitude": -8.61, "radiusM": 80}
    orders = [{"reference": name, "dropoff": place, "customer": customer} for name in ("N1", "N2")]
    await send(admin, "\n".join(json.dumps(one) for one in orders), kind="application/x-ndjson")
    table = "reference,dropoff.latitude,dropoff.longitude,customer.phone,customer.email\nN1,41.2,-8.6,+44 20 7946,\n"
    assert (await send(admin, table, "?onDuplicate=update")).json()["updated"] == 1
    line = {"reference": "N2", "dropoff": place, "customer": {"name": None}}
    lines = await send(admin, json.dumps(line), "?onDuplicate=update", kind="application/x-ndjson")
    assert lines.json()["updated"] == 1
    first, second = await listed(admin)
    assert first["customer"] == customer | {"phone": "+44 20 7946", "email": None}
    assert first["dropoff"] == {"address": None, "latitude": 41.2, "longitude": -8.6, "radiusM": 80}
    assert second["customer"] == customer | {"name": None}


async def test_an_update_of_what_is_final_fails(admin):
    await send(admin, HEADING + a_row("G1"))
    [made] = await listed(admin)
    driver = await admin.make("drivers", {"name": "Ana"})
    await admin.ask("PUT", f"deliveries/{made['id']}/assignment", json={"driverId": driver["id"]})
    for status in ("accepted", "picked_up", "in_transit", "arrived", "delivered"):
        await admin.ask("PATCH", f"deliveries/{made['id']}/status", json={"status": status})
    answer = await send(admin, HEADING + a_row("G1", notes="late"), "?onDuplicate=update")
    assert (answer.status_code, answer.json()["rows"][0]["outcome"]) == (422, "failed")


async def test_a_cancelled_delivery_gives_its_reference_free(admin):
    await send(admin, HEADING + a_row("H1"))
    [made] = await listed(admin)
    await admin.ask("DELETE", f"deliveries/{made['id']}")
    assert (await send(admin, HEADING + a_row("H1"))).json()["created"] == 1


async def test_drivers_are_named_by_either_id(admin):
    driver = await admin.make("drivers", {"name": "Ana", "externalId": "van 7"})
    lines = [
        {"dropoff": {"latitude": 41.1, "longitude": -8.6}, "driverId": name}
        for name in (driver["id"], "van 7", "nobody")
    ]
    answer = await send(admin, "\n".join(map(json.dumps, lines)), "?mode=valid", "application/x-ndjson")
    assert [row["outcome"] for row in answer.json()["rows"]] == ["created", "created", "failed"]
    assert answer.json()["rows"][2]["errors"][0]["field"] == "driverId"
    assert [(one["driverId"], one["status"]) for one in await listed(admin)] == [(driver["id"], "assigned")] * 2


async def test_the_same_key_imports_once(admin):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = [await send(admin, HEADING + a_row("I1"), **key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await listed(admin)) == 1
    assert (await send(admin, HEADING + a_row("I2"), **key)).status_code == 422


async def test_two_imports_at_once_never_both_make_a_reference(admin):
    table = HEADING + "".join(a_row(f"J{n}") for n in range(50))
    answers = await asyncio.gather(*(send(admin, table) for _ in range(4)))
    assert {answer.status_code for answer in answers} <= {201, 409, 422}
    assert [answer.status_code for answer in answers].count(201) == 1
    assert len(await listed(admin)) == 50


async def test_what_a_crash_left_undone_is_finished_by_the_task(company, admin, monkeypatch):
    """The process dies after the first part: the rest waits, and whoever comes next puts it away once."""
    monkeypatch.setattr(commands, "_PART", 10)
    put_away, parts = DeliveryImports._put_away, []

    async def dies(self, scope, record, part):
        parts.append(part.id)
        if len(parts) == 2:
            raise asyncio.CancelledError
        await put_away(self, scope, record, part)

    monkeypatch.setattr(DeliveryImports, "_put_away", dies)
    table = HEADING + "".join(a_row(f"K{n}") for n in range(35))
    with pytest.raises(asyncio.CancelledError):
        await send(admin, table)
    assert len(await listed(admin)) == 10
    [begun] = (await admin.ask("GET", "deliveries/imports")).json()["items"]
    assert (begun["state"], begun["created"]) == ("running", 35)
    monkeypatch.setattr(DeliveryImports, "_put_away", put_away)
    services = company[1]
    tenant = (await admin.ask("GET", "auth/profile")).json()["tenantId"]
    waiting = await services.database.tasks.find_one({"tenant": tenant, "kind": "import", "state": "waiting"})
    task = Task(id=waiting["_id"], tenant=tenant, kind="import", payload={"import": begun["id"]})
    parts_left = await services.database.import_parts.find({"tenant": tenant, "import": begun["id"]}).to_list(None)
    assert "Flores" not in str(parts_left)
    await asyncio.gather(*(DeliveryImports(services.database, 64).resume(task) for _ in range(3)))
    assert [one["reference"] for one in await listed(admin)] == [f"K{n}" for n in range(35)]
    done = (await admin.ask("GET", f"deliveries/imports/{begun['id']}")).json()
    assert await services.database.tasks.find_one({"_id": task.id}) is None
    assert (done["state"], [row["id"] for row in done["rows"]]) == ("done", [one["id"] for one in await listed(admin)])
    assert await services.database.import_parts.count_documents({"tenant": tenant, "import": begun["id"]}) == 0


async def test_an_export_is_taken_back_by_another_company(company, admin):
    driver = await admin.make("drivers", {"name": "Ana"})
    body = {"dropoff": {"address": "=Rua, 1", "latitude": 41.1, "longitude": -8.6}, "customer": {"phone": "+351 9"}}
    made = [await admin.make("deliveries", body | {"reference": f"L{n}", "weightKg": n / 3}) for n in range(5)]
    await admin.make("deliveries", body | {"reference": "theirs", "driverId": driver["id"]})
    for form, kind in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        other = await company[0].registered()
        table = await admin.ask("GET", f"deliveries/export?format={form}&status=pending")
        assert table.status_code == 200
        answer = await send(other, table.content, kind=kind)
        assert answer.json()["created"] == 5, answer.text
        theirs = [(one["reference"], one["dropoff"], one["customer"], one["weightKg"]) for one in await listed(other)]
        assert theirs == [(one["reference"], one["dropoff"], one["customer"], one["weightKg"]) for one in made]


async def test_an_export_filters_and_orders_as_the_list_does(admin):
    await send(admin, HEADING + "".join(a_row(f"M{n}") for n in range(3)))
    for query, wanted in (
        ("", ["M0", "M1", "M2"]),
        ("&sort=-createdAt", ["M2", "M1", "M0"]),
        ("&reference=M1", ["M1"]),
    ):
        lines = (await admin.ask("GET", f"deliveries/export?format=ndjson{query}")).text.splitlines()
        assert [json.loads(line)["reference"] for line in lines] == wanted
    empty = await admin.ask("GET", "deliveries/export?reference=none")
    assert empty.text.splitlines()[0].startswith("id,version,status,dropoff.address")
    assert len(empty.text.splitlines()) == 1


@pytest.mark.parametrize(
    ("table", "kind", "status", "field"),
    [
        ("", "text/csv", 422, ""),
        (HEADING, "text/csv", 422, ""),
        ("colour\nred\n", "text/csv", 422, "colour"),
        ("{}", "application/json", 415, "Content-Type"),
        (b"notes\n\xff\n", "text/csv", 400, None),
        ('notes\n"open', "text/csv", 400, None),
        (HEADING + a_row("x") * 10_001, "text/csv", 413, None),
    ],
)
async def test_a_file_that_can_not_be_read_says_why(admin, table, kind, status, field):
    answer = await send(admin, table, kind=kind)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in [one["field"] for one in answer.json()["errors"]]


async def test_a_file_of_several_parts_comes_in_as_one(company, admin):
    table = HEADING + "".join(a_row(f"N{n}") for n in range(1200))
    report = (await send(admin, table)).json()
    assert (report["state"], report["created"]) == ("done", 1200)
    profile = (await admin.ask("GET", "auth/profile")).json()
    count = await company[1].database.deliveries.count_documents({"tenant": profile["tenantId"]})
    assert count == 1200
