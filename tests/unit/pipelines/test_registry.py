"""Which model serves: promoted by gates, rolled back at need, never a damaged one."""

import dataclasses

import numpy as np
import pytest

from models.errors import BundleRefused, Conflict, NotFound
from pipelines.promotion import judge, judge_version, read_holdout, register
from pipelines.registry import Registry
from pipelines.scores import named_segments, paired_gain
from tests.trips import a_training


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "models")


def worse(training, spread=0.5):
    """The same training, had it guessed at random on top."""
    guesses = np.random.default_rng(1).normal(0, spread, (len(training.quantiles), 1))
    return dataclasses.replace(training, quantiles=training.quantiles + guesses)


def test_the_first_model_serves_when_it_beats_the_table(registry):
    name, _ = register(registry, a_training())
    assert registry.champion() is None
    verdict = judge_version(registry, name)
    assert verdict.is_passed, verdict.reasons
    registry.promote(name, "first")
    assert registry.champion() == name
    assert registry.load(name).version.startswith(name)


def test_a_model_that_guesses_is_kept_out(registry):
    name, _ = register(registry, worse(a_training()))
    verdict = judge_version(registry, name)
    assert not verdict.is_passed
    assert "no sure gain" in verdict.reasons[0]


def test_a_model_no_better_than_the_champion_is_kept_out(registry):
    first, _ = register(registry, a_training())
    registry.promote(first, "first")
    champion, holdout = registry.load(first), read_holdout(registry.folder_of(first))
    twin = dataclasses.replace(a_training().bundle, version="twin")
    assert not judge(twin, holdout, champion, holdout).is_passed


def test_a_better_model_replaces_the_champion_on_shared_trips(registry):
    first, _ = register(registry, worse(a_training()))
    registry.promote(first, "it was all there was")
    champion, theirs = registry.load(first), read_holdout(registry.folder_of(first))
    candidate = dataclasses.replace(a_training().bundle, version="candidate")
    ours = dataclasses.replace(theirs, quantiles=a_training().quantiles)
    assert judge(candidate, ours, champion, theirs).is_passed


def test_a_gain_with_a_segment_made_worse_is_kept_out(registry):
    first, _ = register(registry, worse(a_training(), 0.2))
    registry.promote(first, "first")
    champion, theirs = registry.load(first), read_holdout(registry.folder_of(first))
    narrow = a_training().quantiles.copy()
    at_midday = named_segments(theirs.trips, champion.spec)["midday"]
    narrow[at_midday] += [0.25, 0.0, -0.25]  # the same median, promises that are broken
    candidate = dataclasses.replace(a_training().bundle, version="narrow")
    verdict = judge(candidate, dataclasses.replace(theirs, quantiles=narrow), champion, theirs)
    assert not verdict.is_passed
    assert verdict.reasons[0].startswith("gain")
    assert any("midday: coverage" in reason for reason in verdict.reasons)


def test_rolling_back_lets_the_one_before_serve(registry):
    first, _ = register(registry, a_training())
    second, _ = register(registry, a_training(seed=2))
    registry.promote(first, "first")
    registry.promote(second, "second")
    registry.roll_back("it was wrong at night")
    assert registry.champion() == first
    assert [decision.version for decision in registry.standing().history] == [first, second, first]


def test_there_is_nothing_before_the_first(registry):
    register(registry, a_training())
    with pytest.raises(Conflict):
        registry.roll_back("why not")


def test_a_company_may_have_its_own(registry):
    first, _ = register(registry, a_training())
    second, _ = register(registry, a_training(seed=2))
    registry.promote(first, "everybody's")
    registry.promote(second, "theirs", "ten_1")
    assert registry.champion("ten_1") == second
    assert registry.champion("ten_2") == first


def test_a_damaged_model_never_serves(registry):
    name, _ = register(registry, a_training())
    trees = registry.folder_of(name) / "p50-0.txt"
    trees.write_text(trees.read_text()[:-100])
    with pytest.raises(BundleRefused):
        registry.promote(name, "it looked fine")
    assert registry.champion() is None


def test_what_serves_can_not_be_removed(registry):
    first, _ = register(registry, a_training())
    second, _ = register(registry, a_training(seed=2))
    registry.promote(first, "first")
    with pytest.raises(Conflict):
        registry.remove(first)
    registry.remove(second)
    assert [each.version for each in registry.versions()] == [first]


def test_the_same_model_twice_is_one(registry):
    assert register(registry, a_training())[0] == register(registry, a_training())[0]
    assert len(registry.versions()) == 1


def test_an_unknown_model_is_not_found(registry):
    with pytest.raises(NotFound):
        registry.load("../../etc")


def test_gains_of_a_few_lucky_days_are_not_sure():
    days = np.repeat(np.arange(20), 50)
    theirs, ours = np.full(1_000, 100.0), np.full(1_000, 100.0)
    ours[days == 3] = 20.0
    gain = paired_gain(theirs, ours, days)
    assert gain.mean_s == pytest.approx(4.0)
    assert not gain.is_sure
