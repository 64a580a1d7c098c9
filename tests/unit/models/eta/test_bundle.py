"""A bundle answers as it was saved, or says why not."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BundleRefused, InvalidInput
from models.eta.bundle import load_bundle, load_time_table, save_bundle
from models.eta.features import base_times_s, leg_features
from models.eta.smooth import fit_smooth
from tests.legs import SPEC, a_bundle, quantile_trees, some_legs


@pytest.fixture
def folder(tmp_path):
    save_bundle(a_bundle(), tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_answers_as_before_it_was_saved(folder):
    legs = some_legs(200, seed=2)
    again = load_bundle(folder)
    np.testing.assert_allclose(again.predict(legs), a_bundle().predict(legs))
    assert again.version
    assert again.metadata["base"] == "great circle"


def test_the_same_model_has_the_same_version(folder, tmp_path):
    assert save_bundle(a_bundle(), tmp_path / "twin") == load_bundle(folder).version


def test_quantiles_of_new_legs_are_sorted_and_cover_four_of_five():
    legs = some_legs(2_000, seed=3)
    low, middle, high = a_bundle().predict(legs).T
    assert np.all((low <= middle) & (middle <= high))
    inside = (low <= legs["duration_s"]) & (legs["duration_s"] <= high)
    assert 0.75 < inside.mean() < 0.87


def test_a_model_beats_base_times_where_traffic_follows_the_hour():
    legs = some_legs(1_000, seed=4)
    base_s = base_times_s(legs, a_bundle().spec)
    error = np.abs(a_bundle().predict(legs)[:, 1] - legs["duration_s"]).mean()
    assert error < 0.7 * np.abs(base_s - legs["duration_s"]).mean()


def test_no_answer_hangs_on_a_feature_that_is_not_read():
    bundle = a_bundle()
    matrix = leg_features(some_legs(200, 3), bundle.spec)
    answers = bundle.log_quantiles(matrix)
    assert bundle.reads("hour")
    assert not bundle.reads("driven_ratio")
    for place, name in enumerate(bundle.spec.names):
        if not bundle.reads(name):
            matrix[:, place] = np.random.default_rng(place).normal(0, 100, len(matrix))
    np.testing.assert_array_equal(bundle.log_quantiles(matrix), answers)


def test_a_model_that_learnt_from_legs_under_way_reads_how_they_go():
    legs = some_legs(400, 5)
    ratio = np.random.default_rng(5).uniform(0.5, 2, 400)
    matrix = leg_features({**legs, "driven_ratio": ratio}, SPEC)
    surface = fit_smooth(matrix, np.log(ratio), SPEC)
    assert surface.reads(SPEC.names.index("driven_ratio"))
    trees = quantile_trees(matrix, np.log(ratio), 0.9, 3)
    bundle = a_bundle()
    assert not bundle.reads("driven_ratio")
    assert replace(bundle, texts={**bundle.texts, "p90": (trees,)}, boosters={}, predictors={}).reads("driven_ratio")
    assert replace(bundle, smooth=surface).reads("driven_ratio")


def test_a_shift_moves_all_quantiles_alike():
    legs = some_legs(50, seed=5)
    plain, moved = a_bundle().predict(legs), a_bundle().predict(legs, shift=np.log(1.25))
    np.testing.assert_allclose(moved, plain * 1.25)


def test_wider_offsets_leave_the_median_alone():
    legs = some_legs(50, seed=5)
    plain, wide = a_bundle().predict(legs), a_bundle().predict(legs, offsets=np.full((50, 2), 1.0))
    np.testing.assert_allclose(wide[:, 1], plain[:, 1])
    assert np.all(wide[:, 2] - wide[:, 0] > plain[:, 2] - plain[:, 0])


def test_contributions_add_up_to_what_the_model_says_beyond_the_base_time():
    legs = some_legs(100, seed=6)
    parts = a_bundle().contributions(legs, shift=0.1)
    beyond = a_bundle().predict(legs, shift=0.1)[:, 1] - base_times_s(legs, a_bundle().spec)
    np.testing.assert_allclose(sum(parts.values()) * 60, beyond, atol=0.01)
    assert np.all(parts["today"] > 0)


def test_contributions_say_what_traffic_adds_to_free_roads():
    spec = replace(SPEC, traffic=(1.5,) * 48)
    legs = {**some_legs(100, seed=6), "base_s": np.full(100, 400.0), "traffic_ratio": np.repeat([2.0, np.nan], 50)}
    bundle = replace(a_bundle(), spec=spec)
    parts = bundle.contributions(legs, shift=0.1)
    np.testing.assert_allclose(sum(parts.values()) * 60, bundle.predict(legs, shift=0.1)[:, 1] - 400.0, atol=0.01)
    assert np.all(parts["traffic"][:50] > 400 * 0.6 / 60)
    assert parts["traffic"][:50].mean() > parts["traffic"][50:].mean() > 0


def test_the_rush_hour_is_named_as_the_reason():
    legs = some_legs(2_000, seed=7)
    hour = (legs["moment_ms"] / 3_600_000 + 1) % 24  # Lisbon is an hour ahead in June
    minutes = a_bundle().contributions(legs)["time_of_day"]
    assert minutes[np.abs(hour - 8) < 0.5].mean() > 1.0
    assert minutes[hour < 4].mean() < 0.0


@pytest.mark.parametrize(
    "name",
    [
        "p50-0.txt",
        "p10-0.txt",
        "spec.json",
        "calibration.json",
        "table.npz",
        "smooth.npz",
        "probe.npz",
        "manifest.json",
    ],
)
def test_a_file_cut_short_is_refused(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BundleRefused):
        load_bundle(folder)


def test_an_edited_leaf_is_refused_by_name(folder):
    path = folder / "p90-0.txt"
    text = path.read_text()
    start = text.index("leaf_value=") + len("leaf_value=")
    path.write_text(text[:start] + "9" + text[start:])
    with pytest.raises(BundleRefused, match=r"p90-0\.txt"):
        load_bundle(folder)


@settings(max_examples=30)
@given(st.data())
def test_no_single_byte_can_be_changed_unnoticed(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    save_bundle(a_bundle(), folder)
    path = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        again = load_bundle(folder)
    except BundleRefused:
        return
    assert path.name == "manifest.json"  # a space of its layout, perhaps
    assert again.version == save_bundle(a_bundle(), folder.parent / "twin")


def test_an_edited_manifest_is_refused(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["metadata"]["base"] = "roads"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleRefused, match="edited"):
        load_bundle(folder)


def test_what_is_no_trees_is_refused_though_its_checksum_is_right(folder):
    (folder / "p50-0.txt").write_text("no trees")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["p50-0.txt"] = hashlib.sha256(b"no trees").hexdigest()
    del manifest["version"]
    version = hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": version}))
    with pytest.raises(BundleRefused, match="can't be read"):
        load_bundle(folder)


def test_another_schema_is_refused_and_both_are_named(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["schema"] = "outrider-eta/99"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleRefused, match=r"outrider-eta/99.*outrider-eta/1"):
        load_bundle(folder)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(BundleRefused, match="no bundle"):
        load_bundle(tmp_path / "nothing")


def test_the_table_still_answers_when_the_trees_are_damaged(folder):
    (folder / "p50-0.txt").write_text("tree")
    table, spec, _ = load_time_table(folder)
    legs = some_legs(500, seed=8)
    low, middle, high = table.predict(legs, spec).T
    assert np.all((low <= middle) & (middle <= high))
    assert np.abs(middle - legs["duration_s"]).mean() < np.abs(base_times_s(legs, spec) - legs["duration_s"]).mean()


def test_legs_without_a_column_that_is_needed_are_refused_by_its_name():
    legs = dict(some_legs(5))
    del legs["to_lat"]
    with pytest.raises(InvalidInput, match="to_lat"):
        a_bundle().predict(legs)


def test_an_empty_batch_has_an_empty_answer():
    empty = {name: values[:0] for name, values in some_legs(5).items()}
    assert a_bundle().predict(empty).shape == (0, 3)


def test_a_vehicle_never_seen_gets_an_answer():
    legs = {**some_legs(3), "vehicle": np.array(["tank", None, "van"], dtype=object)}
    assert np.all(np.isfinite(a_bundle().predict(legs)))
