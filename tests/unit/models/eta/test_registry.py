"""The folder of bundles: who serves, what was decided, and what is refused."""

import pytest

from models.errors import BundleRefused, Conflict, NotFound
from models.eta.bundle import save_bundle
from models.eta.registry import Registry
from tests.legs import a_bundle


@pytest.fixture
def registry(tmp_path):
    registry = Registry(tmp_path / "models")
    for seed, name in enumerate(("one", "two")):
        save_bundle(a_bundle(seed=seed), registry.folder / name)
    return registry


def test_a_folder_that_is_not_there_serves_nobody(tmp_path):
    registry = Registry(tmp_path / "nothing")
    assert (registry.standing().champion, registry.names(), registry.mark()) == (None, [], (0, 0))


def test_promotions_are_taken_back_one_after_the_other(registry):
    registry.promote("one", "ana")
    registry.promote("two", "rui")
    assert registry.standing().champion == "two"
    assert registry.roll_back("ana").champion == "one"
    assert registry.roll_back("ana").champion is None
    with pytest.raises(Conflict):
        registry.roll_back("ana")
    assert [one.action for one in registry.standing().history] == ["promote", "promote", "roll_back", "roll_back"]


def test_a_tenants_own_champion_leaves_everybodys_alone(registry):
    registry.promote("one", "ana")
    registry.promote("two", "rui", "ten_a")
    standing = registry.standing()
    assert (standing.champion, standing.tenants) == ("one", {"ten_a": "two"})
    assert registry.roll_back("rui", "ten_a").tenants == {}
    assert registry.standing().champion == "one"


def test_a_candidate_that_is_promoted_is_no_candidate_any_more(registry):
    registry.shadow("two")
    assert registry.standing().named == ("two",)
    assert registry.promote("two", "ana").candidate is None


def test_each_decision_shows_in_the_mark(registry):
    before = registry.mark()
    registry.promote("one", "ana")
    assert registry.mark() != before


def test_a_damaged_bundle_is_never_promoted(registry):
    (registry.folder / "two" / "spec.json").write_text("{}")
    with pytest.raises(BundleRefused):
        registry.promote("two", "ana")


@pytest.mark.parametrize("name", ["three", "../one", "", ".hidden", "a" * 90])
def test_what_is_no_bundle_is_not_found(registry, name):
    with pytest.raises(NotFound):
        registry.promote(name, "ana")


@pytest.mark.parametrize("content", ["", "{", '{"champions": 7}', '{"history": [1]}'])
def test_a_damaged_file_is_refused(registry, content):
    (registry.folder / "registry.json").write_text(content)
    with pytest.raises(BundleRefused):
        registry.standing()
