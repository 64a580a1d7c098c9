"""Compiled trees answer as the plain ones do, or stay away."""

import numpy as np
import pytest

from models.eta.accelerator import compile_bundle, is_compiled, load_fast
from models.eta.bundle import save_bundle
from tests.legs import a_bundle, some_legs


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "bundle"
    save_bundle(a_bundle(rounds=3), folder)
    assert compile_bundle(folder)
    return folder


def test_compiled_trees_answer_as_lightgbm_does(compiled):
    legs = some_legs(500, seed=9)
    fast = load_fast(compiled)
    assert is_compiled(fast)
    np.testing.assert_allclose(fast.predict(legs), a_bundle(rounds=3).predict(legs), rtol=1e-9)


def test_compiled_code_that_was_changed_is_not_used(compiled, tmp_path):
    objects = sorted(compiled.glob("compiled/*/*.o"))
    before = objects[0].read_bytes()
    objects[0].write_bytes(before + b"\0")
    try:
        bundle = load_fast(compiled)
        assert not is_compiled(bundle)
        assert bundle.predict(some_legs(3)).shape == (3, 3)
    finally:
        objects[0].write_bytes(before)


def test_code_of_another_bundle_is_not_used(compiled, tmp_path):
    save_bundle(a_bundle(rounds=4), tmp_path / "other")
    (compiled / "compiled").rename(tmp_path / "other" / "compiled")
    try:
        assert not is_compiled(load_fast(tmp_path / "other"))
    finally:
        (tmp_path / "other" / "compiled").rename(compiled / "compiled")
