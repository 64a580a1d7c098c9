"""Every command of the tutorial and of the how-to of planning does what it says, on a whole Outrider."""

import pytest

from tests.pages import DOCS, follow
from tests.stack import RunningOutrider

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]


def test_a_stranger_who_follows_the_page_is_told_of_a_moving_delivery(outrider_running: RunningOutrider, tmp_path):
    follow(DOCS / "tutorials" / "first-integration.md", tmp_path, outrider_running.url)
    assert "Rui" in (tmp_path / "watched.txt").read_text()
    assert not (tmp_path / "receiver.log").read_text().count("Traceback")


def test_a_planner_who_follows_the_page_sees_the_cost_fall_and_who_an_urgent_order_affects(
    outrider_running: RunningOutrider, tmp_path
):
    follow(DOCS / "how-to" / "plan-routes.md", tmp_path, outrider_running.url, within_s=400)
    *points, last = (tmp_path / "watched.txt").read_text().splitlines()
    costs = [float(point.split("cost ")[1].split()[0]) for point in points]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]
    assert last.startswith("done")
    affected = (tmp_path / "affected.txt").read_text()
    assert "new pickup" in affected
    assert "new dropoff" in affected
