"""The planner's page and the page of ETAs in a real browser, on a whole Outrider."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser import ask_page
from tests.rest import Caller
from tests.stack import RunningOutrider, eventually

pytestmark = [pytest.mark.browser, pytest.mark.cluster]

DEPOT = {"latitude": 41.164, "longitude": -8.63}
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
        for n in (1, 2):
            driver = await admin.make("drivers", {"name": f"Driver {n}"})
            van = {"name": f"Van {n}", "driverId": driver["id"], "maxStops": 8, "cost": {"perKm": 1}}
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
    await page.get_by_label("Search for").select_option("60")
    await page.get_by_role("button", name="Plan routes").click()

    # the cost falls while it is watched, and the plan is kept when it is good enough
    await page.locator("path.cost").wait_for(state="attached")
    await page.get_by_role("button", name="Stop, keep the best").click()
    await page.locator("[data-job=cancelled], [data-job=done]").wait_for()
    await page.get_by_role("tab", name="Routes").click()
    await expect(page.locator("[data-route]")).to_have_count(2, timeout=SLOWLY)
    lengths = "window.outrider.routes().map((route) => route.points)"
    drawn = await ask_page(page, lengths, until=lambda found: len(found) == 2 and min(found) > 0, within_s=60)
    assert min(drawn) > 20, "routes follow the roads"

    # a change by hand shows what it comes to before it is stored
    await page.locator("[data-route]").first.click()
    before = await stops_by_route(company)
    await page.locator("li .stop").first.click()
    await page.get_by_label("Move to another route").select_option(index=1)
    await page.locator("[data-counter=edit-cost]").wait_for()
    assert await stops_by_route(company) == before, "nothing is stored yet"
    await page.get_by_role("button", name="Store").click()
    await page.get_by_role("status", name="Your changes").wait_for(state="detached")
    after = await stops_by_route(company)
    assert sorted(map(len, after.values())) != sorted(map(len, before.values())) or after != before

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


@pytest.mark.timeout(120)
async def test_a_refusal_is_told_on_the_page(page: Page, company: Company) -> None:
    await open_view(page, company, "Plan")
    await expect(page.locator("[data-counter=to-plan]")).to_have_text("10", timeout=SLOWLY)
    await page.get_by_label("Hours a route").fill("0.5")
    await page.route("**/routes/optimize", lambda route: route.abort())
    await page.get_by_role("button", name="Plan routes").click()
    await expect(page.get_by_role("alert").get_by_text("Outrider does not answer")).to_be_visible()


@pytest.mark.timeout(120)
async def test_how_well_etas_do_is_shown_with_the_model_that_serves(page: Page, company: Company) -> None:
    await open_view(page, company, "ETAs")
    await page.get_by_text("No promise has met its arrival yet").wait_for()
    serving = page.locator("tr.serving")
    await expect(serving).to_have_attribute("data-model", (await models(company))["serving"], timeout=SLOWLY)


async def stops_by_route(company: Company) -> dict[str, list[str]]:
    found = (await company.admin.ask("GET", "routes")).json()["items"]
    return {route["id"]: [stop["deliveryId"] for stop in route["stops"]] for route in found}


async def models(company: Company) -> dict[str, str]:
    async def answered() -> dict[str, str] | None:
        answer = await company.admin.ask("GET", "eta/models")
        return answer.json() if answer.status_code == 200 else None

    return await eventually(answered, within_s=20)
