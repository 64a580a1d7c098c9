"""History knows what had finished, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.eta.features import leg_features
from models.eta.history import PaceHistory, history_columns
from tests.legs import JUNE, SPEC, some_legs

HOUR_MS = 3_600_000


def with_drivers(legs, seed=1):
    draw = np.random.default_rng(seed)
    return {**legs, "driver": draw.choice(["ana", "rui", "eva"], len(legs["moment_ms"])).astype(object)}


def finished(rows=400, seed=1):
    legs = with_drivers(some_legs(rows, seed, days=2), seed)
    ended_ms = legs["moment_ms"] + (legs["duration_s"] * 1000).astype(np.int64)
    return {**legs, "ended_ms": ended_ms, "log_ratio": np.random.default_rng(seed).normal(0, 0.3, rows)}


def test_it_is_the_shrunk_mean_of_what_had_ended():
    known, asked = finished(), with_drivers(some_legs(50, 2, days=2), 2)
    found = history_columns(asked, known)
    for row in range(50):
        mine = (known["driver"] == asked["driver"][row]) & (known["ended_ms"] < asked["moment_ms"][row])
        values = known["log_ratio"][mine]
        if not len(values):
            assert np.isnan(found["driver_long"][row])
            continue
        assert found["driver_long"][row] == pytest.approx(values.sum() / (len(values) + 5))
        newest = values[np.argsort(known["ended_ms"][mine])][-10:]
        assert found["driver_recent"][row] == pytest.approx(newest.sum() / (len(newest) + 5))


@given(st.integers(0, 48), st.integers(0, 1_000))
def test_the_future_can_be_shuffled_without_changing_an_answer(hours, seed):
    known, asked = finished(200), with_drivers(some_legs(20, 2, days=2), 2)
    limit = np.minimum(JUNE + hours * HOUR_MS, asked["moment_ms"])
    before = history_columns(asked, known, limit)
    later = known["ended_ms"] >= limit.max()
    changed = known["log_ratio"].copy()
    changed[later] = np.random.default_rng(seed).normal(5, 1, int(later.sum()))
    after = history_columns(asked, {**known, "log_ratio": changed}, limit)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_a_driver_who_is_not_known_has_no_history():
    asked = {**some_legs(5), "driver": np.array([None] * 5, dtype=object)}
    found = history_columns(asked, finished())
    assert np.isnan(found["driver_long"]).all()
    assert np.isnan(found["driver_cell_pace"]).all()


def test_without_a_finished_leg_nothing_is_known():
    none = {name: values[:0] for name, values in finished().items()}
    found = history_columns(with_drivers(some_legs(5)), none)
    assert all(np.isnan(values).all() for name, values in found.items() if name != "as_of_ms")


def test_history_goes_into_the_features():
    legs = with_drivers(some_legs(30, 3, days=14))
    found = history_columns(legs, finished())
    matrix = leg_features({**legs, **found}, SPEC)
    np.testing.assert_array_equal(matrix[:, SPEC.names.index("cell_pace")], found["cell_pace"])


def test_a_saved_history_goes_on_where_it_was(tmp_path):
    known, asked = finished(), with_drivers(some_legs(40, 2, days=2), 2)
    early = {name: values[:200] for name, values in known.items()}
    late = {name: values[200:] for name, values in known.items()}
    ahead = {**asked, "moment_ms": np.full(40, int(known["ended_ms"].max()) + 1)}
    history = PaceHistory()
    history.observe(early, early["log_ratio"])
    history.save(tmp_path / "history.npz")
    again = PaceHistory.load(tmp_path / "history.npz")
    for one in (history, again):
        one.observe(late, late["log_ratio"])
    for name, values in history.columns(ahead).items():
        np.testing.assert_array_equal(again.columns(ahead)[name], values)
        assert np.isfinite(values).any()


def test_looking_beyond_the_moment_is_refused():
    legs = some_legs(3)
    with pytest.raises(InvalidInput, match="future"):
        history_columns(legs, finished(), legs["moment_ms"] + 1)
