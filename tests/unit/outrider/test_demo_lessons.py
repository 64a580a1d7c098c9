"""The demo's past: the same town before and in the demo, and a model that learns there what holds in it."""

import datetime
from zoneinfo import ZoneInfo

import numpy as np
import psutil
import pytest

from models.eta.bundle import load_bundle
from models.eta.history import driver_alias
from outrider.demo.apprentice import Apprentice, Company
from outrider.demo.lessons import learn
from outrider.demo.town import PAST_DAYS, Town
from pipelines.fleet.straight_city import straight_city
from pipelines.registry import Registry

LISBON = ZoneInfo("Europe/Lisbon")
NOW = datetime.datetime(2026, 3, 18, 22, 30, tzinfo=datetime.UTC)
VANS = 12


@pytest.fixture(scope="module")
def town():
    return Town.of(straight_city(), VANS, NOW)


@pytest.fixture(scope="module")
def past(town):
    return town.past()


def test_whoever_makes_the_town_anew_has_the_same_one(town, past):
    again = Town.of(straight_city(), VANS, NOW)
    assert again.paces == town.paces
    here = (41.15, -8.61, PAST_DAYS * 86_400 + 3_600.0)
    assert again.traffic.factor(*here) == town.traffic.factor(*here)
    assert again.past() == past


def test_the_past_ends_yesterday_and_is_of_this_time_of_day(past):
    assert max(seen.leg.day for seen in past) == PAST_DAYS - 1
    firsts = [seen.leg.departed_ms for seen in past if seen.leg.stop == 0]
    minutes = [datetime.datetime.fromtimestamp(ms / 1000, LISBON) for ms in firsts]
    assert all(21 * 60 < moment.hour * 60 + moment.minute < 22 * 60 + 30 for moment in minutes)
    assert max(seen.arrived_ms for seen in past) < NOW.timestamp() * 1000


def test_drivers_are_as_fast_as_they_were(town, past):
    by_van = [[seen for seen in past if seen.leg.van == van] for van in range(VANS)]
    took = [np.mean([seen.arrived_ms - seen.began_ms for seen in mine]) for mine in by_van]
    free = [np.mean([seen.leg.base_s for seen in mine]) for mine in by_van]
    assert np.corrcoef(np.divide(took, free), town.paces)[0, 1] > 0.5


def test_what_is_learned_serves_its_company_and_knows_its_drivers(past, tmp_path):
    drivers = [f"drv_{van}" for van in range(VANS)]
    company = Company("acme", drivers, str(LISBON), str(tmp_path / "legs"), str(tmp_path / "models"))
    lesson = learn(past, company)
    assert lesson.reasons
    registry = Registry(tmp_path / "models")
    assert registry.champion("acme") == lesson.model
    assert registry.champion("other") is None
    history = load_bundle(tmp_path / "models" / lesson.model).history
    here = {"from_lat": [41.15], "from_lon": [-8.6], "to_lat": [41.16], "to_lon": [-8.6], "company": "acme"}
    known = history.columns({**here, "driver": driver_alias("acme", "drv_3")})
    unknown = history.columns({**here, "driver": driver_alias("acme", "drv_99")})
    assert np.isfinite(known["driver_long"][0])
    assert np.isnan(unknown["driver_long"][0])


async def test_a_process_that_dies_leaves_the_demo_without_a_model(tmp_path):
    async with Apprentice(VANS, NOW, tmp_path / "demo.log") as apprentice:
        before = psutil.Process().children()
        for child in before:
            if "outrider.demo.lessons" in child.cmdline():
                child.kill()
        await apprentice.teach(Company("acme", [], str(LISBON), str(tmp_path), str(tmp_path)))
    assert apprentice.has_failed
    assert apprentice.lesson is None
