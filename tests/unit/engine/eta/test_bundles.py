"""The table that answers for a model whose trees can't be read: its reasons add up, from free roads on."""

from dataclasses import replace

import numpy as np

from engine.eta.bundles import TablePredictor
from tests.legs import SPEC, a_bundle, some_legs


def test_the_reasons_of_a_table_say_what_traffic_adds_to_free_roads():
    legs = {**some_legs(40, seed=3), "base_s": np.full(40, 400.0), "traffic_ratio": np.repeat([2.0, np.nan], 20)}
    table = TablePredictor("model", a_bundle().table, replace(SPEC, traffic=(1.5,) * 48), "roads")
    parts = table.explain(legs, np.zeros(40))
    np.testing.assert_allclose(parts["traffic"] * 60, np.repeat([400.0, 200.0], 20))
    np.testing.assert_allclose(sum(parts.values()) * 60, table.predict(legs)[:, 1] - 400.0)
