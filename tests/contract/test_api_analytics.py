"""Figures over REST: who sees what, in which form, and every way of asking wrongly."""

import csv
import datetime
import io
import uuid

import pytest
import pytest_asyncio

from engine.analytics.rebuild import FigureRebuild
from models.store.scope import Scope
from tests.rest import PASSWORD, Caller, client_of, running_api

PORTO = {"latitude": 41.15, "longitude": -8.61}
GAIA = {"latitude": 41.12, "longitude": -8.61}
WAY = ("accepted", "picked_up", "in_transit", "arrived", "delivered")
TODAY = datetime.datetime.now(datetime.UTC).date().isoformat()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def running(stores):
    async with running_api(stores, f"test-{uuid.uuid4().hex[:12]}") as (app, services):
        yield app, services


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def company(running):
    """Return the callers of a company with two delivered deliveries, a failed and a waiting one, all counted."""
    app, services = running
    async with client_of(app) as http:
        admin = await Caller(http).registered()
        drivers = [(await admin.make("drivers", {"name": name}))["id"] for name in ("Ana", "=Rui()")]
        people = {"admin": admin}
        for role, more in (("planner", {}), ("driver", {"driverId": drivers[0]})):
            email = f"{uuid.uuid4().hex}@test.pt"
            await admin.make("users", {"email": email, "password": PASSWORD, "role": role} | more)
            session = (await admin.ask("POST", "auth/login", json={"email": email, "password": PASSWORD})).json()
            people[role] = admin.with_token(session["accessToken"])
        for driver, steps in ((drivers[0], WAY), (drivers[1], WAY), (drivers[0], ("accepted", "failed")), (None, ())):
            await lived(admin, driver, steps)
        tenant = (await admin.ask("GET", "tenant")).json()["id"]
        route = {"$set": {"route": "rte_1"}}
        await services.database.deliveries.update_many({"tenant": tenant, "driver": drivers[0]}, route)
        rebuild = FigureRebuild(services.database, Scope(tenant, "engine")).run
        await rebuild()
        yield people | {"drivers": drivers, "rebuild": rebuild}


async def lived(admin, driver, steps):
    body = {"pickup": PORTO, "dropoff": GAIA, "timeWindow": {"start": "2020-01-01T00:00Z", "end": "2099-01-01T00:00Z"}}
    delivery = await admin.make("deliveries", body | ({"driverId": driver} if driver else {}))
    for status in steps:
        answer = await admin.ask("PATCH", f"deliveries/{delivery['id']}/status", json={"status": status})
        assert answer.status_code == 200, answer.text


async def asked(caller, path, **params):
    answer = await caller.ask("GET", f"analytics/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_deliveries_by_day_have_a_row_for_every_day(company):
    found = await asked(company["admin"], "deliveries")
    assert (found["groupBy"], found["timeZone"], len(found["items"])) == ("day", "UTC", 30)
    assert found["items"][-1]["period"] == found["items"][-1]["from"] == found["to"]
    assert sum(row["created"] for row in found["items"]) == 4
    delivered = [row["byStatus"]["delivered"] for row in found["items"] if row["byStatus"]["delivered"]["count"]]
    assert delivered[-1]["directDistanceM"] == pytest.approx(2 * 3336, abs=2)


async def test_deliveries_by_status_month_driver_and_route(company):
    by_status = await asked(company["admin"], "deliveries", groupBy="status")
    counts = {row["status"]: row["count"] for row in by_status["items"]}
    assert {status: count for status, count in counts.items() if count} == {"delivered": 2, "failed": 1, "pending": 1}
    of_driver = await asked(company["admin"], "deliveries", groupBy="month", driverId=company["drivers"][1])
    assert sum(row["successRate"] or 0 for row in of_driver["items"]) == 1
    of_route = await asked(company["admin"], "deliveries", groupBy="status", routeId="rte_1")
    assert sum(row["count"] for row in of_route["items"]) == 2


async def test_the_fleet_is_shown_beside_the_days_before(company):
    found = await asked(company["admin"], "fleet")
    figures = found["figures"]
    assert (figures["created"], figures["failedAttempts"], found["before"]["created"]) == (4, 1, 0)
    assert figures["firstAttemptRate"] == figures["successRate"] == round(2 / 3, 4)
    assert figures["punctuality"]["onTimeRate"] == 1
    assert found["drivers"] == 2


async def test_drivers_come_in_pages_also_those_that_are_gone(company):
    admin, drivers = company["admin"], company["drivers"]
    first = await asked(admin, "drivers", limit=1)
    second = await asked(admin, "drivers", limit=1, cursor=first["next"])
    assert [(page["items"][0]["driverId"], page["next"] is None) for page in (first, second)] == [
        (drivers[0], False),
        (drivers[1], True),
    ]
    gone = await admin.make("drivers", {"name": "Eva"})
    await lived(admin, gone["id"], WAY)
    await company["rebuild"]()
    assert (await admin.ask("DELETE", f"drivers/{gone['id']}")).status_code == 204
    shown = (await asked(admin, "drivers"))["items"][-1]
    assert (shown["driverId"], shown["name"]) == (gone["id"], None)
    assert (await asked(admin, f"drivers/{gone['id']}"))["figures"]["successRate"] == 1
    assert (await admin.ask("GET", "analytics/drivers/drv_nobody")).status_code == 404


async def test_a_driver_sees_its_own_and_a_planner_the_routes(company):
    mine = await asked(company["driver"], "me", groupBy="month")
    assert (mine["driverId"], mine["name"], mine["figures"]["assigned"]) == (company["drivers"][0], "Ana", 2)
    routes = (await asked(company["planner"], "routes"))["items"]
    assert [(row["routeId"], row["failedAttempts"]) for row in routes] == [("rte_1", 1)]
    for caller, path in (("driver", "fleet"), ("planner", "fleet"), ("planner", "drivers"), ("driver", "routes")):
        assert (await company[caller].ask("GET", f"analytics/{path}")).status_code == 403


async def test_tables_come_as_csv_without_formulas(company):
    answer = await company["admin"].ask("GET", "analytics/drivers", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = {row["driverId"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    row = rows[company["drivers"][1]]
    assert (row["name"], row["byStatus.delivered.count"], row["punctuality.onTimeRate"]) == ("'=Rui()", "1", "1.0")
    answer = await company["admin"].ask(
        "GET", "analytics/deliveries", params={"groupBy": "status"}, headers={"Accept": "text/csv"}
    )
    assert answer.text.startswith("count,")


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("fleet", {"from": "2026-11-25", "to": "2026-11-24"}, "from"),
        ("fleet", {"from": "2001-01-01", "to": "2026-11-24"}, "from"),
        ("fleet", {"from": "0001-01-01", "to": "0001-01-02"}, "from"),
        ("fleet", {"to": "9999-12-31"}, "from"),
        ("fleet", {"from": "yesterday"}, "from"),
        ("deliveries", {"from": "2024-01-01", "to": "2026-11-24"}, "groupBy"),
        ("deliveries", {"groupBy": "year"}, "groupBy"),
        ("deliveries", {"driverId": "drv_1", "routeId": "rte_1"}, "routeId"),
        ("drivers", {"limit": 0}, "limit"),
        ("routes", {"cursor": "%%%"}, "cursor"),
    ],
)
async def test_wrong_questions_are_told_what_is_wrong(company, path, params, field):
    answer = await company["admin"].ask("GET", f"analytics/{path}", params=params)
    assert answer.status_code == 422, answer.text
    assert field in {error["field"] for error in answer.json()["errors"]}


async def test_another_company_sees_nothing_of_it(company):
    other = await company["admin"].with_token(None).registered()
    found = await asked(other, "fleet")
    assert (found["figures"]["created"], found["drivers"]) == (0, 0)
    [row] = (await asked(other, "deliveries", groupBy="month", driverId=company["drivers"][0], **{"from": TODAY}))[
        "items"
    ]
    assert row["assigned"] == 0
    assert (await other.ask("GET", f"analytics/drivers/{company['drivers'][0]}")).status_code == 404
