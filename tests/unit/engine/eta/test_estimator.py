"""What models say with what finished legs taught, and how one takes the place of another."""

import math

import numpy as np
import pytest

from engine.eta.corrections import Corrections, Finish, ModelSaid
from engine.eta.estimator import Estimator
from engine.eta.legs_ahead import LegsAhead
from engine.eta.predictor import COLD_START
from engine.eta.swap import ModelWatch
from models.eta.bundle import save_bundle
from models.eta.registry import Registry
from tests.builders import START_MS
from tests.legs import a_bundle, some_legs

PLACE = (41.15, -8.61)


def a_finish(number, ratio, model=COLD_START, tenant="ten_a"):
    """Return a leg that took `ratio` times what the model said."""
    said = ModelSaid(model, (300.0, 600.0, 900.0), 0.0, (300.0, 600.0, 900.0))
    return Finish(f"fin_{number}", tenant, START_MS + number * 1000, 600.0 * ratio, *PLACE, (said,))


def some_ahead(rows=20):
    legs = {name: column for name, column in some_legs(rows).items() if name not in ("duration_s", "vehicle")}
    legs |= {"elapsed_s": np.zeros(rows), "base_s": np.full(rows, 600.0), "base_m": np.full(rows, 5000.0)}
    return LegsAhead(legs, np.zeros(rows, np.uint32), np.ones(rows, np.uint32))


def an_estimator():
    return Estimator(lambda _: "ten_a", lambda _: "Europe/Lisbon")


def test_legs_that_took_longer_make_the_next_ones_longer():
    corrections = Corrections()
    for number in range(40):
        corrections.observe(a_finish(number, 1.3))
    lat, lon = np.array([PLACE[0]]), np.array([PLACE[1]])
    now_ms = START_MS + 100_000
    [shift] = corrections.shifts(COLD_START, "ten_a", lat, lon, np.zeros(1), now_ms)
    assert 1.2 < math.exp(shift) <= 1.3
    [other] = corrections.shifts(COLD_START, "ten_b", lat, lon, np.zeros(1), now_ms)
    assert other == 0.0


def test_the_residual_fades_while_a_leg_is_under_way():
    corrections = Corrections()
    for number in range(40):
        corrections.observe(a_finish(number, 1.3))
    places = np.full(3, PLACE[0]), np.full(3, PLACE[1])
    shifts = corrections.shifts(COLD_START, "ten_a", *places, np.array([0.0, 150.0, 400.0]), START_MS + 100_000)
    assert shifts[0] > shifts[1] > shifts[2] == 0.0


def test_ranges_widen_until_four_of_five_legs_end_inside():
    """A model whose range of 0.5 to 1.5 is far too narrow learns that from 400 legs."""
    corrections, inside = Corrections(), []
    draw = np.random.default_rng(5)
    for number, noise in enumerate(draw.normal(0.0, 0.8, 400)):
        low, high = corrections.margins(COLD_START, "ten_a")
        inside.append(math.log(0.5) - low <= noise <= math.log(1.5) + high)
        corrections.observe(a_finish(number, math.exp(noise)))
    assert not all(inside[:40])
    assert 0.72 < np.mean(inside[200:]) < 0.88
    assert corrections.is_confident(COLD_START, "ten_a")


async def test_a_promoted_bundle_serves_and_a_damaged_one_never_does(tmp_path):
    registry, estimator = Registry(tmp_path), an_estimator()
    save_bundle(a_bundle(), registry.folder / "one")
    watch = ModelWatch(registry, estimator)
    await watch.follow()
    before = estimator.say(some_ahead())
    assert estimator.models.champion.version == COLD_START
    registry.promote("one", "ana")
    await watch.follow()
    assert estimator.models.champion.version == "one"
    after = estimator.say(some_ahead())
    assert not np.allclose(before.raw, after.raw)
    assert (np.diff(after.said, axis=1) >= 0).all()
    save_bundle(a_bundle(seed=2), registry.folder / "two")
    registry.promote("two", "ana")
    (registry.folder / "two" / "p50-0.txt").write_text("tree")  # damaged on its way to this machine
    await watch.follow()
    assert estimator.models.champion.version == "one"
    registry.roll_back("ana")
    registry.roll_back("ana")
    await watch.follow()
    assert estimator.models.champion.version == COLD_START


async def test_a_candidate_is_asked_beside_the_champion_and_changes_nothing(tmp_path):
    registry, estimator = Registry(tmp_path), an_estimator()
    save_bundle(a_bundle(), registry.folder / "one")
    watch = ModelWatch(registry, estimator)
    registry.shadow("one")
    await watch.follow()
    said = estimator.say(some_ahead())
    assert np.allclose(said.said[:, 1], 600.0)
    assert np.isfinite(said.shadow).all()
    assert (said.candidate != 0).all()


async def test_the_table_answers_while_the_trees_of_the_only_model_are_damaged(tmp_path):
    registry, estimator = Registry(tmp_path), an_estimator()
    save_bundle(a_bundle(), registry.folder / "one")
    registry.promote("one", "ana")
    trees = registry.folder / "one" / "p50-0.txt"
    trees.write_text(trees.read_text()[:1000])
    await ModelWatch(registry, estimator).follow()
    assert estimator.models.champion.version == "one/table"
    said = estimator.say(some_ahead())
    assert not np.allclose(said.said[:, 1], 600.0)
    assert np.all(np.diff(said.said, axis=1) >= 0)
    assert estimator.reasons("ten_a", some_ahead(1), 1)


async def test_a_damaged_model_does_not_take_the_place_of_a_whole_one(tmp_path):
    registry, estimator = Registry(tmp_path), an_estimator()
    watch = ModelWatch(registry, estimator)
    for name in ("one", "two"):
        save_bundle(a_bundle(), registry.folder / name)
    registry.promote("one", "ana")
    await watch.follow()
    registry.promote("two", "ana")
    (registry.folder / "two" / "p50-0.txt").write_text("")
    await watch.follow()
    assert estimator.models.champion.version == "one"


async def test_one_tenant_may_have_a_model_of_its_own(tmp_path):
    registry = Registry(tmp_path)
    save_bundle(a_bundle(), registry.folder / "one")
    registry.promote("one", "ana", "ten_b")
    estimator = Estimator(lambda index: f"ten_{'ab'[index]}", lambda _: "Europe/Lisbon")
    await ModelWatch(registry, estimator).follow()
    ahead = some_ahead()
    tenants = np.repeat(np.array([0, 1], np.uint32), 10)
    said = estimator.say(LegsAhead(ahead.legs, tenants, ahead.drivers))
    assert np.allclose(said.said[:10, 1], 600.0)
    assert not np.allclose(said.said[10:, 1], 600.0)


async def test_reasons_add_up_to_what_the_model_says(tmp_path):
    registry, estimator = Registry(tmp_path), an_estimator()
    save_bundle(a_bundle(), registry.folder / "one")
    registry.promote("one", "ana")
    await ModelWatch(registry, estimator).follow()
    ahead = some_ahead(1)
    [(name, minutes), *_] = estimator.reasons("ten_a", ahead, 1)
    assert isinstance(name, str)
    assert minutes != 0
    model = estimator.models.champion
    found = model.explain(ahead.legs, np.zeros(1))
    said_min = model.bundle.predict({k: v for k, v in ahead.legs.items() if k not in ("base_s", "base_m")})[0, 1] / 60
    base_min = said_min - sum(float(values[0]) for values in found.values())
    assert base_min == pytest.approx(model.bundle.spec.pace.times_s(*_ends(ahead.legs))[0] / 60, rel=0.01)


def _ends(legs):
    return [np.asarray(legs[name]) for name in ("from_lat", "from_lon", "to_lat", "to_lon")]
