"""Urgent orders in routes on the road: what the bench says of them holds."""

import pytest

from bench.insertion import measure_improvement, measure_insertion


def test_orders_find_a_place_and_what_has_to_stay_does():
    found = measure_insertion(vans=4, stops=24, orders=3, seed=1)
    assert (found["unserved"], found["moved_pinned"], found["repeats"]) == (0, 0, 3)
    assert found["added_s"] > 0


@pytest.mark.timeout(300)  # a process of its own loads the solvers
def test_a_plan_that_took_up_orders_serves_them_all_within_the_rules():
    found = measure_improvement(vans=4, stops=24, orders=3, warm_s=1.0, cold_s=2.0, cores=1, seed=1)
    assert (found["unserved"], found["infeasible"]) == (0, 0)
    assert abs(found["warm_over_cold_percent"]) < 5
