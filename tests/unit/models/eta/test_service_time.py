"""Service times fall back from the address to whoever is known."""

import numpy as np
import pytest

from models.eta.service_time import LEVELS, ServiceTimes, fit_service_times


def visits(count, seconds, lat, lon, company="ten_1"):
    return [(company, lat, lon, seconds * factor) for factor in np.linspace(0.8, 1.2, count)]


def fitted(*groups):
    company, lat, lon, service_s = zip(*(visit for group in groups for visit in group), strict=True)
    return fit_service_times(np.array(company, object), np.array(lat), np.array(lon), np.array(service_s))


TOWER = (41.15000, -8.61000)
NEIGHBOUR = (41.15010, -8.61003)
FAR = (41.30, -8.40)


def p50(times, company, place):
    quantiles, level = times.predict(company, [place[0]], [place[1]])
    return quantiles[0, 1], LEVELS[level[0]]


def test_an_address_that_is_known_answers_for_itself():
    times = fitted(visits(60, 600, *TOWER), visits(300, 60, *FAR))
    seconds, level = p50(times, "ten_1", TOWER)
    assert level == "address"
    assert seconds == pytest.approx(600, rel=0.2)


def test_a_new_address_takes_the_company_s_time():
    times = fitted(visits(60, 600, *TOWER), visits(300, 60, *FAR))
    seconds, level = p50(times, "ten_1", (40.0, -8.0))
    assert level == "company"
    assert seconds == pytest.approx(60, rel=0.3)


def test_a_single_visit_hardly_counts():
    times = fitted(visits(1, 3_000, *TOWER), visits(300, 60, *FAR))
    assert p50(times, "ten_1", TOWER)[0] < 200


def test_companies_do_not_see_each_other_s_places():
    times = fitted(visits(60, 600, *TOWER, company="ten_1"), visits(300, 60, *FAR, company="ten_2"))
    assert p50(times, "ten_2", TOWER)[1] == "company"
    assert p50(times, "ten_3", TOWER)[1] == "everybody"


def test_without_any_visit_the_range_is_wide_and_says_so():
    times = fit_service_times("ten_1", np.array([41.0]), np.array([-8.0]), np.array([np.nan]))
    quantiles, level = times.predict("ten_1", [41.0], [-8.0])
    assert LEVELS[level[0]] == "everybody"
    assert quantiles[0, 2] > 5 * quantiles[0, 0]


def test_stops_of_hours_are_not_service():
    times = fitted(visits(100, 60, *TOWER), visits(100, 9_000, *TOWER))
    assert p50(times, "ten_1", TOWER)[0] == pytest.approx(60, rel=0.1)


def test_service_times_survive_being_written(tmp_path):
    times = fitted(visits(60, 600, *TOWER), visits(30, 60, *NEIGHBOUR))
    times.save(tmp_path / "service.npz")
    again = ServiceTimes.load(tmp_path / "service.npz")
    np.testing.assert_array_equal(again.keys, times.keys)
    assert p50(again, "ten_1", NEIGHBOUR) == p50(times, "ten_1", NEIGHBOUR)
