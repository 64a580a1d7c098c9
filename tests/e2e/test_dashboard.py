"""The live map in a real browser, on a whole Outrider."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocket

from outrider.client import OutriderClient, Ping, Place
from tests.browser import ask_page
from tests.stack import RunningOutrider

pytestmark = [pytest.mark.browser, pytest.mark.cluster]

PASSWORD = "a map that moves"
HOME = (41.157, -8.615)  # the middle of the first view
STEP = 0.0001  # degrees of longitude, some 8 m: what a van drives in a second


@dataclass(frozen=True)
class Fleet:
    """A tenant with one van."""

    url: str
    email: str
    client: OutriderClient
    van: str
    start_ms: int
    """When the van sets off, epoch milliseconds."""

    async def ping(self, latitude: float, longitude: float, *, after_s: float = 0.0) -> None:
        """Send where the van was some seconds after it set off; return when the fix is in the log."""
        fix = Ping(
            driver_id=self.van,
            latitude=latitude,
            longitude=longitude,
            time=self.start_ms + round(after_s * 1000),
            speed=11.0,
            heading=90.0,
            accuracy=4.0,
        )
        async with self.client.ingest() as stream:
            await stream.send([fix])


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(outrider_running: RunningOutrider) -> AsyncIterator[Fleet]:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    async with OutriderClient(outrider_running.url) as client:
        await client.register("Ribeira Couriers", email, PASSWORD)
        van = await client.create_driver("Van 7")
        yield Fleet(outrider_running.url, email, client, van.id, time.time_ns() // 1_000_000 - 60_000)


async def log_in(page: Page, fleet: Fleet, password: str = PASSWORD) -> None:
    await page.goto(fleet.url)
    await page.get_by_label("E-mail").fill(fleet.email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def wait_until_live(page: Page) -> None:
    await page.locator("[data-connection=live]").wait_for()


async def seen_van(page: Page, fleet: Fleet) -> dict[str, object]:
    question = f"window.outrider?.vehicles().find((vehicle) => vehicle.id === {json.dumps(fleet.van)}) ?? null"
    found: dict[str, object] = await ask_page(page, question, until=lambda van: van is not None)
    return found


async def test_wrong_password_is_told(page: Page, fleet: Fleet) -> None:
    await log_in(page, fleet, "not the password")

    await page.get_by_role("alert").get_by_text("E-mail or password is wrong").wait_for()

    assert await page.evaluate("window.outrider === undefined")


async def test_the_invited_choose_a_password_and_are_in(page: Page, fleet: Fleet) -> None:
    body = {"email": f"{uuid.uuid4().hex[:12]}@example.com", "role": "planner"}
    async with httpx2.AsyncClient(base_url=f"{fleet.url}/api/v1/") as http:
        credentials = {"email": fleet.email, "password": PASSWORD}
        token = (await http.post("auth/login", json=credentials)).json()["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        link = (await http.post("users/invitations", json=body, headers=headers)).json()["link"]
    await page.goto(f"{fleet.url}/#{link.partition('#')[2]}")
    await page.get_by_label("Your name").fill("Rui")
    await page.get_by_label("New password").fill("a password of my own")
    await page.get_by_role("button", name="Go on").click()
    await wait_until_live(page)
    assert "#" not in page.url, "the token stays in no history"

    await page.evaluate("sessionStorage.clear()")
    await page.goto(f"{fleet.url}/?again#{link.partition('#')[2]}")
    await page.get_by_label("Your name").fill("Rui")
    await page.get_by_label("New password").fill("a password of my own")
    await page.get_by_role("button", name="Go on").click()
    await page.get_by_text("This link is no longer good").wait_for()

    await page.get_by_label("E-mail").fill(body["email"])
    await page.get_by_role("button", name="I have forgotten it").click()
    await page.get_by_text("a mail is on its way").wait_for()


async def test_vehicle_appears_and_moves(page: Page, fleet: Fleet) -> None:
    latitude, longitude = HOME
    await log_in(page, fleet)
    await wait_until_live(page)
    await fleet.ping(latitude, longitude)
    assert (await seen_van(page, fleet))["name"] == "Van 7"

    seen = [await drive_on(page, fleet, step) for step in range(1, 6)]

    drawn = [place for places in seen for place in places]
    assert drawn[-1] > drawn[0] + STEP
    assert drawn == sorted(drawn), "a vehicle that drives east never jumps back"
    assert len(set(drawn)) > len(seen) + 1, "it glides from fix to fix"


async def test_vehicle_panel_tells_speed_and_fix(page: Page, fleet: Fleet) -> None:
    await fleet.ping(*HOME)
    await log_in(page, fleet)
    await wait_until_live(page)
    await seen_van(page, fleet)

    await page.get_by_role("searchbox", name="Find a vehicle").fill("van 7")
    await page.get_by_role("region", name="List of vehicles").get_by_role("button", name="Van 7").click()

    panel = page.locator(f"[data-vehicle={fleet.van}]")
    await panel.get_by_text("40 km/h").wait_for()  # 11 m/s
    await panel.get_by_text("± 4.0 m").wait_for()
    await page.keyboard.press("Escape")
    await panel.wait_for(state="detached")


async def test_vehicle_panel_estimates_the_stops_ahead_and_no_stop_that_is_reached(page: Page, fleet: Fleet) -> None:
    latitude, longitude = HOME
    here = await fleet.client.create_delivery(Place(latitude, longitude), driver=fleet.van, reference="here")
    await fleet.client.create_delivery(Place(latitude + 0.02, longitude), driver=fleet.van, reference="ahead")
    for status in ("accepted", "picked_up", "in_transit", "arrived"):
        await fleet.client.set_status(here.id, status)
    await fleet.ping(latitude, longitude)
    await log_in(page, fleet)
    await wait_until_live(page)
    await seen_van(page, fleet)

    await page.get_by_role("region", name="List of vehicles").get_by_role("button", name="Van 7").click()

    stops = page.locator(f"[data-vehicle={fleet.van}] li", has=page.locator(".reference"))
    await stops.filter(has_text="ahead").locator("[data-confidence]").wait_for()
    reached = stops.filter(has_text="here")
    await reached.get_by_text("arrived").wait_for()
    assert await reached.locator("[data-confidence]").count() == 0


async def test_panning_changes_the_subscription(page: Page, fleet: Fleet) -> None:
    boxes = subscribed_boxes(page)
    await log_in(page, fleet)
    await wait_until_live(page)
    before = await ask_page(page, "window.outrider?.subscription() ?? null", until=lambda box: box is not None)

    await page.mouse.move(920, 400)
    await page.mouse.down()
    await page.mouse.move(600, 400, steps=2)
    await page.mouse.move(330, 400, steps=2)  # beyond the margin that is subscribed around the view
    await page.mouse.up()

    after = await ask_page(page, "window.outrider.subscription()", until=lambda box: box[1] > before[1])
    assert after[3] > before[3]
    assert after in boxes, "the server was told"


async def test_token_in_the_address_signs_in_and_leaves_it(page: Page, fleet: Fleet) -> None:
    session = await fleet.client.login(fleet.email, PASSWORD)

    await page.goto(f"{fleet.url}/#token={session.access_token}")
    await wait_until_live(page)

    assert "token" not in page.url


async def test_refused_token_leads_back_to_the_log_in(page: Page, fleet: Fleet) -> None:
    await page.goto(f"{fleet.url}/#token=nonsense")

    await page.get_by_text("Your session has ended").wait_for()
    await page.get_by_role("button", name="Sign in").wait_for()


async def test_base_map_is_drawn_and_names_its_makers(page: Page, fleet: Fleet) -> None:
    await log_in(page, fleet)
    await wait_until_live(page)

    await ask_page(page, "window.outrider?.view() ?? null", until=lambda view: view is not None)

    link = page.get_by_role("link", name="© OpenStreetMap contributors")
    assert await link.get_attribute("href") == "https://www.openstreetmap.org/copyright"


def subscribed_boxes(page: Page) -> list[list[float]]:
    """Return the list of boxes that the page subscribes to, which grows from now on."""
    boxes: list[list[float]] = []

    def note(payload: str | bytes) -> None:
        said = json.loads(payload)
        if said["type"] == "subscribe" and said["topic"] == "viewport":
            boxes.append(said["bbox"])

    def listen(websocket: WebSocket) -> None:
        websocket.on("framesent", note)

    page.on("websocket", listen)
    return boxes


async def drive_on(page: Page, fleet: Fleet, step: int) -> list[float]:
    """Send the van's next fix; return the longitudes at which it was drawn until it had got there."""
    latitude, longitude = HOME
    target = longitude + step * STEP
    await fleet.ping(latitude, target, after_s=step)
    drawn: list[float] = []

    def has_arrived(vehicles: list[dict[str, dict[str, float]]]) -> bool:
        drawn.append(vehicles[0]["drawn"]["longitude"])
        return abs(drawn[-1] - target) < STEP / 10

    await ask_page(page, "window.outrider.vehicles()", until=has_arrived)
    return drawn


async def test_the_reference_shows_every_operation_without_any_other_server(page: Page, outrider_running):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{outrider_running.url}/docs")
    await page.locator("#operations-tag-deliveries").click()
    await page.locator("#operations-deliveries-create_delivery").wait_for()
    assert await page.locator(".opblock-tag").count() > 15
    foreign = [url for url in asked if not url.startswith((outrider_running.url, "data:"))]
    assert foreign == []


async def test_a_customer_follows_a_delivery_by_its_link(page: Page, outrider_running):
    async with OutriderClient(outrider_running.url) as client:
        await client.register("Blue Vans", f"{uuid.uuid4().hex}@outrider.example", PASSWORD)
        async with httpx2.AsyncClient(base_url=client.url + "/api/v1", trust_env=False) as http:
            http.headers["Authorization"] = f"Bearer {client.token}"
            made = await http.post("/deliveries", json={"dropoff": {"latitude": 41.15, "longitude": -8.61}})
            link = (await http.post(f"/tracking/{made.json()['id']}/link")).json()
    await page.goto(outrider_running.url + link["path"])
    await page.get_by_role("heading", name="We have your order").wait_for()
    assert await page.locator("#company").text_content() == "Blue Vans"
    assert await page.locator('#steps [aria-current="step"]').text_content() == "Ordered"
