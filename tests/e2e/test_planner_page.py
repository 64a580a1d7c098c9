"""The planner's page and the page of ETAs in a real browser, on a whole Outrider."""

import asyncio
import datetime
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocketRoute, expect
from playwright.async_api import Route as PageRoute

from tests.browser import ask_page
from tests.rest import Caller
from tests.stack import RunningOutrider, eventually

pytestmark = [pytest.mark.browser, pytest.mark.cluster, pytest.mark.long]

DEPOT = {"latitude": 41.164, "longitude": -8.63}
MARKET = [{"latitude": 41.15 + lat, "longitude": -8.62 + lon} for lat, lon in ((0, 0), (0, 0.003), (0.003, 0))]
SLOWLY = 60_000  # milliseconds that a shared machine may take


@dataclass(frozen=True)
class Company:
    """A tenant with two vans, and ten deliveries that wait for a route."""

    url: str
    admin: Caller


@pytest_asyncio.fixture(loop_scope="session")
async def page(page: Page) -> Page:
    page.set_default_timeout(SLOWLY)
    await page.set_viewport_size({"width": 1360, "height": 800})
    return page


@pytest_asyncio.fixture(loop_scope="session")
async def company(outrider_running: RunningOutrider) -> AsyncIterator[Company]:
    async with httpx2.AsyncClient(base_url=outrider_running.url, trust_env=False, timeout=60) as http:
        admin = await Caller(http).registered()
        depot = await admin.make("depots", {"name": "north", "place": DEPOT})
        for n in (2, 1):
            driver = await admin.make("drivers", {"name": f"Driver {n}"})
            van = {"name": f"Van {n}", "driverId": driver["id"], "maxStops": 9, "cost": {"perKm": 1}}
            await admin.make("vehicles", van | {"startDepotId": depot["id"], "endDepotId": depot["id"]})
        for n in range(10):
            await order(admin, f"R-{n}", 41.14 + (n * 37 % 100) / 3000, -8.64 + (n * 61 % 100) / 2500)
        yield Company(outrider_running.url, admin)


async def order(admin: Caller, reference: str, latitude: float, longitude: float) -> str:
    place = {"latitude": latitude, "longitude": longitude}
    made = await admin.make("deliveries", {"dropoff": place, "serviceTimeS": 60, "reference": reference})
    return str(made["id"])


async def open_view(page: Page, company: Company, view: str) -> None:
    await page.goto(f"{company.url}/#token={company.admin.token}")
    await page.locator("[data-connection=live]").wait_for()
    await page.get_by_role("navigation", name="Views").get_by_role("button", name=view).click()


@pytest.mark.timeout(300)
async def test_a_planner_plans_changes_and_dispatches_and_decides_on_a_proposal(page: Page, company: Company) -> None:
    await open_view(page, company, "Plan")
    await expect(page.locator("[data-counter=to-plan]")).to_have_text("10", timeout=SLOWLY)
    vans = page.get_by_role("group", name="Vehicles to plan with").get_by_role("button")
    await expect(vans).to_have_text(["Van 1", "Van 2"])
    await page.get_by_label("Search for").select_option("300")
    await page.get_by_role("button", name="Plan routes").click()

    # the cost falls while it is watched, and the plan is kept when it is good enough
    await page.locator("path.cost").wait_for(state="attached")
    await page.get_by_role("button", name="Stop, keep the best").click()
    await page.locator("[data-job=cancelled]").wait_for(timeout=20_000)
    await page.get_by_role("tab", name="Routes").click()
    await expect(page.locator("[data-route]")).to_have_count(2, timeout=SLOWLY)
    lengths = "window.outrider.routes().map((route) => route.points)"
    drawn = await ask_page(page, lengths, until=lambda found: len(found) == 2 and min(found) > 0, within_s=60)
    assert min(drawn) > 20, "routes follow the roads"

    # a change by hand shows what it comes to before it is stored
    before = await stops_by_route(company)
    longer, shorter = sorted(before, key=lambda route: -len(before[route]))  # the shorter one has room for one more
    moved = before[longer][0]
    await page.locator(f"[data-route={longer}]").click()
    await page.locator("li .stop").first.click()
    await page.get_by_label("Move to another route").select_option(index=1)
    await page.locator("[data-counter=edit-cost]").wait_for()
    assert await stops_by_route(company) == before, "nothing is stored yet"
    await page.get_by_role("button", name="Store").click()
    await page.get_by_role("status", name="Your changes").wait_for(state="detached")
    stored = await stops_by_route(company)
    assert stored[longer] == [stop for stop in before[longer] if stop != moved]
    assert sorted(stored[shorter]) == sorted([*before[shorter], moved])

    await page.get_by_role("button", name="All routes").click()
    await page.get_by_role("button", name="Dispatch all 2").click()
    await expect(page.get_by_text("on the road")).to_have_count(2, timeout=SLOWLY)

    # an urgent order: who is affected is told before anybody says yes
    urgent = await order(company.admin, "URGENT-1", 41.152, -8.62)
    await page.get_by_role("tab", name="Proposals").click()
    orders = page.get_by_label("Order to take up")
    await expect(orders.get_by_text("URGENT-1")).to_be_attached(timeout=SLOWLY)
    await orders.select_option(urgent)
    await page.get_by_role("button", name="Ask", exact=True).click()
    card = page.locator("[data-proposal]")
    await expect(card.get_by_text("URGENT-1", exact=True)).to_be_visible(timeout=SLOWLY)
    await card.get_by_role("button", name="Accept").click()
    await card.wait_for(state="detached")
    routes = await stops_by_route(company)
    assert any(urgent in stops for stops in routes.values())


def soon_and_within_a_day() -> datetime.datetime:
    """Return a full hour that a proposal looks ahead to, with three more before midnight."""
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2)
    soon = soon.replace(minute=0, second=0, microsecond=0)
    return soon if soon.hour <= 20 else soon.replace(hour=1) + datetime.timedelta(days=1)


@pytest.mark.timeout(120)
async def test_a_drivers_break_stands_among_the_stops_of_a_route_and_in_what_a_proposal_changes(
    page: Page, company: Company
) -> None:
    start = soon_and_within_a_day()
    driver = (await company.admin.make("drivers", {"name": "Driver 3"}))["id"]
    rest = {"window": {"start": f"{start:%H}:15", "end": f"{start:%H}:45"}, "durationS": 1800}
    van = await company.admin.make("vehicles", {"name": "Van 3", "driverId": driver, "breaks": [rest]})
    ids = [one["id"] for one in await listed(company, "deliveries")]
    place = {"latitude": 41.16, "longitude": -8.625}
    long = (await company.admin.make("deliveries", {"dropoff": place, "serviceTimeS": 1500}))["id"]
    stops = [{"deliveryId": one} for one in (ids[0], long, *ids[1:])]
    route = await company.admin.make(
        "routes",
        {"stops": stops, "origin": DEPOT, "start": start.isoformat()} | {"driverId": driver, "vehicleId": van["id"]},
    )
    [taken] = route["breaks"]
    assert (await company.admin.ask("POST", f"routes/{route['id']}/dispatch")).status_code == 200
    urgent = await order(company.admin, "URGENT-1", 41.152, -8.62)
    await company.admin.make("routes/proposals", {"insert": [urgent], "cancel": [long]})
    await open_view(page, company, "Plan")

    # on the card it stands where it will be taken, and nothing that changes is out of reach
    await page.get_by_role("tab", name="Proposals").click()
    card = page.locator("[data-proposal]")
    await expect(card.get_by_text("URGENT-1", exact=True)).to_be_visible(timeout=SLOWLY)
    await card.get_by_role("button", name="more").click()
    rows = await card.locator("li").all_inner_texts()
    times = [found[0] for row in rows if (found := re.findall(r"\d\d:\d\d", row))]
    assert times == sorted(times)
    assert len(rows) > 8
    assert any(row.startswith("Driver's break") for row in rows[1:-1]), rows

    # in the route it stands between the stops
    await open_route(page, route["id"])
    rows = await page.get_by_role("region", name="Route", exact=True).locator("li").all_inner_texts()
    assert rows[taken["before"]].startswith("Driver's break")
    assert len(rows) == len(stops) + 1


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", [375, 820, 1360])
async def test_all_that_can_be_pressed_is_within_the_page_and_under_nothing_else(
    page: Page, company: Company, width: int
) -> None:
    await page.set_viewport_size({"width": width, "height": 720})
    await planned(company)
    await open_view(page, company, "Plan")
    await expect(page.locator("[role=tab] .badge")).to_have_text(["2"], timeout=SLOWLY)
    assert await page.evaluate(OUT_OF_REACH) == []
    await page.get_by_role("navigation", name="Views").get_by_role("button", name="Live").click()
    await page.get_by_role("searchbox", name="Find a vehicle").wait_for()
    assert await page.evaluate(OUT_OF_REACH) == []


OUT_OF_REACH = """[...document.querySelectorAll("header button, [role=tablist] button, .maplibregl-ctrl button")]
  .filter((button) => {
    const { left, right, top, bottom } = button.getBoundingClientRect();
    const seen = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return left < 0 || right > window.innerWidth || seen === null || seen.closest("button") !== button;
  })
  .map((button) => button.innerText || button.title)"""


@pytest.mark.timeout(120)
async def test_edits_follow_each_other_faster_than_they_are_worked_out(page: Page, company: Company) -> None:
    first, _ = await planned(company)
    started = (await stops_by_route(company))[first]
    answers = asyncio.Event()
    await page.route("**/routes/preview", lambda route: after(answers, route))
    await open_view(page, company, "Plan")
    await open_route(page, first)
    for place in (0, 1):
        await page.locator("li .stop").nth(place).click()
        await page.get_by_role("button", name="Later").click()
        await expect(page.locator("li .stop").nth(place + 1)).to_contain_text("R-0", timeout=SLOWLY)
    await expect(page.get_by_role("button", name="Store")).to_be_disabled()
    answers.set()
    await page.get_by_role("button", name="Store").click()
    await page.get_by_role("status", name="Your changes").wait_for(state="detached")
    assert (await stops_by_route(company))[first] == [started[1], started[2], started[0]]


@pytest.mark.timeout(120)
async def test_edits_never_overwrite_what_somebody_else_has_changed(page: Page, company: Company) -> None:
    first, second = await planned(company)
    await open_view(page, company, "Plan")
    await open_route(page, first)
    await page.locator("li .stop").first.click()
    await page.get_by_label("Move to another route").select_option(second)
    await page.locator("[data-counter=edit-cost]").wait_for()

    started = (await stops_by_route(company))[first]
    theirs = {"origin": DEPOT, "stops": [{"deliveryId": stop} for stop in reversed(started)]}
    assert (await company.admin.ask("PUT", f"routes/{first}", json=theirs)).status_code == 200
    await page.get_by_text("Somebody else has changed these routes").wait_for()
    await expect(page.get_by_role("button", name="Store")).to_be_disabled()
    await page.get_by_role("button", name="Discard").click()
    await expect(page.locator("li .stop").first).to_contain_text("R-2", timeout=SLOWLY)
    assert (await stops_by_route(company))[first] == [*reversed(started)]


@pytest.mark.timeout(120)
async def test_an_edit_is_kept_while_outrider_does_not_answer_and_undone_when_it_refuses(
    page: Page, company: Company
) -> None:
    first, _ = await planned(company)
    await open_view(page, company, "Plan")
    await open_route(page, first)
    stops = page.locator("li .stop")
    await page.route("**/routes/preview", lambda route: route.abort())
    await stops.first.click()
    await page.get_by_role("button", name="Later").click()
    await page.get_by_role("alert").get_by_text("Outrider does not answer").wait_for()
    await expect(stops.nth(1)).to_contain_text("R-0", timeout=SLOWLY)
    await page.unroute("**/routes/preview")
    await page.get_by_role("button", name="Try again").click()
    await page.locator("[data-counter=edit-cost]").wait_for()

    await page.route("**/routes/preview", refuse)
    await stops.nth(1).click()
    await page.get_by_role("button", name="Later").click()
    await page.get_by_role("alert").get_by_text("vans do not fly").wait_for()
    await expect(stops.nth(1)).to_contain_text("R-0", timeout=SLOWLY)
    await expect(page.get_by_role("button", name="Store")).to_be_enabled()


@pytest.mark.timeout(120)
async def test_a_refusal_is_told_on_the_page(page: Page, company: Company) -> None:
    await open_view(page, company, "Plan")
    await expect(page.locator("[data-counter=to-plan]")).to_have_text("10", timeout=SLOWLY)
    for answer, told in ((refuse, "vans do not fly"), (lambda route: route.abort(), "Outrider does not answer")):
        await page.route("**/routes/optimize", answer)
        await page.get_by_role("button", name="Plan routes").click()
        await page.get_by_role("alert").get_by_text(told).wait_for()
        await page.unroute("**/routes/optimize")


@pytest.mark.timeout(120)
async def test_a_street_is_closed_on_the_map_and_opened_again_for_everybody_who_looks(
    page: Page, company: Company
) -> None:
    await open_view(page, company, "Plan")
    await page.get_by_role("tab", name="Closures").click()
    await page.get_by_role("button", name="Close a street").click()
    south, west, north, east = await ask_page(page, "window.outrider.view()", until=lambda box: box is not None)
    close = page.get_by_role("button", name="Close it")
    for x, y in ((600, 300), (640, 320), (900, 500)):
        await page.mouse.click(x, y)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator("[data-counter=points]")).to_have_text("2", timeout=SLOWLY)
    await expect(close).to_be_disabled()  # nobody has said what it is
    await page.get_by_label("Name").fill("Pipe works")
    await page.get_by_label("Until").select_option(label="four hours from now")
    await page.get_by_label("For").select_option(label="trucks")
    await close.click()
    await expect(page.locator("[data-closure]")).to_contain_text(["Pipe works"], timeout=SLOWLY)
    await expect(page.locator("[data-closure]")).to_contain_text(["trucks"])
    [stored] = (await company.admin.ask("GET", "closures")).json()["items"]
    assert (stored["kind"], stored["profiles"], len(stored["points"])) == ("line", ["truck"], 2)
    assert stored["endsAt"] is not None
    first, second = stored["points"]
    assert first["longitude"] == pytest.approx(west + (east - west) * 600 / 1360, abs=1e-5)
    assert south < second["latitude"] < first["latitude"] < north
    drawn = "window.outrider.closures()"
    assert await page.evaluate(drawn) == [{"kind": "line", "points": 2, "isDraft": False}]

    # what a colleague closes is there without asking, and opened here it is open for all
    await company.admin.make("closures", {"name": "Market", "kind": "polygon", "points": MARKET})
    await ask_page(page, drawn, until=lambda found: [one["points"] for one in found] == [2, 3])
    await page.locator("[data-closure]").filter(has_text="Pipe works").get_by_role("button", name="Reopen").click()
    await expect(page.locator("[data-closure]")).to_have_count(1, timeout=SLOWLY)
    assert [one["name"] for one in (await company.admin.ask("GET", "closures")).json()["items"]] == ["Market"]

    # what is drawn and not stored is given up with the Escape key
    await page.get_by_role("button", name="Close a zone").click()
    await page.mouse.click(700, 300)
    await ask_page(page, drawn, until=lambda found: [one["isDraft"] for one in found] == [False, True])
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Close a zone").wait_for()
    assert len(await page.evaluate(drawn)) == 1


@pytest.mark.timeout(120)
async def test_a_map_on_which_nothing_changes_is_not_painted_again(page: Page, company: Company) -> None:
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=8)
    lasting = {"name": "Market", "kind": "polygon", "points": MARKET, "endsAt": ends.isoformat()}
    await company.admin.make("closures", lasting)
    await page.add_init_script(COUNT_PAINTED)
    await open_view(page, company, "Plan")
    await expect(page.locator("[data-counter=to-plan]")).to_have_text("10", timeout=SLOWLY)
    closures = "window.outrider.closures().length"
    await ask_page(page, closures, until=lambda found: found == 1)

    async def is_at_rest() -> bool:
        painted = int(await page.evaluate("window.painted"))
        await page.wait_for_timeout(2500)  # the page looks at its clock each second
        return 0 < painted == int(await page.evaluate("window.painted"))

    await eventually(is_at_rest, 60)
    painted = int(await page.evaluate("window.painted"))
    await page.route("**/api/v1/closures*", lambda route: route.abort())
    await page.clock.set_fixed_time(ends)  # it ends without a word from Outrider
    await ask_page(page, closures, until=lambda found: found == 0)
    await ask_page(page, "window.painted", until=lambda now: now > painted)


@pytest.mark.timeout(120)
async def test_routes_and_closures_stay_on_the_map_when_its_colours_change(page: Page, company: Company) -> None:
    await planned(company)
    await company.admin.make("closures", {"name": "Market", "kind": "polygon", "points": MARKET})
    await open_view(page, company, "Plan")
    for other in ("", "dark", "light"):
        if other:
            await page.get_by_role("button", name=f"Use {other} colours").click()
            await page.get_by_role("button", name=f"Use {other} colours").wait_for(state="detached")
        await ask_page(page, "window.outrider.shapes()", until=lambda held: held == {"routes": 2, "closures": 1})


COUNT_PAINTED = """window.painted = 0;
const draw = WebGL2RenderingContext.prototype.drawElements;
WebGL2RenderingContext.prototype.drawElements = function (...what) {
  window.painted += 1;
  return draw.apply(this, what);
};"""


@pytest.mark.timeout(120)
async def test_what_came_while_the_connection_was_away_is_seen_when_it_is_back(page: Page, company: Company) -> None:
    is_back, sockets = asyncio.Event(), list[WebSocketRoute]()
    is_back.set()

    async def relay(socket: WebSocketRoute) -> None:
        if not is_back.is_set():
            await socket.close(code=1001)
            return
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket("**/api/v1/ws?*", relay)
    await open_view(page, company, "Plan")
    await expect(page.locator("[data-counter=to-plan]")).to_have_text("10", timeout=SLOWLY)
    is_back.clear()
    await sockets[-1].close(code=1001)
    await page.locator("[data-connection=waiting]").wait_for()
    await order(company.admin, "R-10", 41.15, -8.62)
    is_back.set()
    await expect(page.locator("[data-counter=to-plan]")).to_have_text("11", timeout=SLOWLY)


@pytest.mark.timeout(120)
async def test_a_session_that_has_ended_leads_to_the_log_in(page: Page, company: Company) -> None:
    await open_view(page, company, "Plan")
    problem = {"title": "Unauthorized", "status": 401, "detail": "the token has expired"}
    await page.route("**/eta/accuracy?*", lambda route: route.fulfill(status=401, json=problem))
    await page.get_by_role("navigation", name="Views").get_by_role("button", name="ETAs").click()
    await page.get_by_text("Your session has ended").wait_for()
    await page.get_by_role("button", name="Sign in").wait_for()


@pytest.mark.timeout(120)
async def test_how_well_etas_do_is_shown_with_the_model_that_serves(page: Page, company: Company) -> None:
    await open_view(page, company, "ETAs")
    await page.get_by_text("No promise has met its arrival yet").wait_for()
    serving = page.locator("tr.serving")
    await expect(serving).to_have_attribute("data-model", (await models(company))["serving"], timeout=SLOWLY)


async def planned(company: Company) -> tuple[str, str]:
    """Plan the first six orders by hand, three a route."""
    found = (await company.admin.ask("GET", "deliveries")).json()["items"]
    ids = [one["id"] for one in sorted(found, key=lambda one: one["reference"])]
    bodies = [{"origin": DEPOT, "stops": [{"deliveryId": one} for one in part]} for part in (ids[:3], ids[3:6])]
    first, second = [str((await company.admin.make("routes", body))["id"]) for body in bodies]
    return first, second


async def open_route(page: Page, route: str) -> None:
    await page.get_by_role("tab", name="Routes").click()
    await page.locator(f"[data-route={route}]").click()


async def refuse(route: PageRoute) -> None:
    problem = {"title": "Unprocessable", "status": 422, "detail": "vans do not fly"}
    await route.fulfill(status=422, content_type="application/problem+json", body=json.dumps(problem))


async def after(event: asyncio.Event, route: PageRoute) -> None:
    await event.wait()
    await route.continue_()


async def listed(company: Company, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await company.admin.ask("GET", kind)).json()["items"]
    return found


async def stops_by_route(company: Company) -> dict[str, list[str]]:
    found = (await company.admin.ask("GET", "routes")).json()["items"]
    return {route["id"]: [stop["deliveryId"] for stop in route["stops"]] for route in found}


async def models(company: Company) -> dict[str, str]:
    async def answered() -> dict[str, str] | None:
        answer = await company.admin.ask("GET", "eta/models")
        return answer.json() if answer.status_code == 200 else None

    return await eventually(answered, within_s=20)
