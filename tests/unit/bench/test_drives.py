"""Vans that drive to their stops: on roads, no faster than roads allow, and the same wherever they are read."""

from pathlib import Path

import numpy as np
import pytest

from bench.drives import Drives
from engine.roads.network import RoadNetwork
from engine.roads.warm_up import BUILT
from models.geo import distances_m
from models.messages.fixes import DEGREE

START_MS = 1_760_000_000_000
SIZE = 12


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("drives") / "drives.npz"
    Drives.make(made, RoadNetwork.load(BUILT), SIZE, seed=3, start_ms=START_MS)
    return made


def places(drives: Drives, at_s: float) -> tuple[np.ndarray, np.ndarray]:
    members = np.arange(drives.size)
    lat, lon, _ = drives.positions(members, np.full(drives.size, START_MS + round(at_s * 1000)))
    return lat / DEGREE, lon / DEGREE


def test_every_van_comes_nearer_and_stands_at_its_stop_in_the_end(file: Path) -> None:
    drives = Drives(file, 0, SIZE)
    stops = np.array(drives.stops).T
    left_m = [distances_m(*places(drives, at_s), *stops) for at_s in (0, 7200, 7260)]
    assert (left_m[0] > 2000).all()
    assert (left_m[1] < 1).all()
    assert (left_m[2] < 1).all()


def test_vans_move_all_the_time_and_as_fast_as_they_say(file: Path) -> None:
    drives, members = Drives(file, 0, SIZE), np.arange(SIZE)
    for at_s in range(0, 240, 20):
        moved_m = distances_m(*places(drives, at_s), *places(drives, at_s + 1))
        said_mps = drives.speeds(members, np.full(SIZE, START_MS + at_s * 1000))
        np.testing.assert_allclose(moved_m, said_mps, atol=0.1)
        assert (moved_m < 40).all()
        assert moved_m.mean() > 3


def test_a_connection_s_part_drives_as_in_the_whole(file: Path) -> None:
    whole, part = places(Drives(file, 0, SIZE), 100), places(Drives(file, 5, 3), 100)
    assert [column.tolist() for column in part] == [column[5:8].tolist() for column in whole]
    assert Drives(file, 5, 3).stops == Drives(file, 0, SIZE).stops[5:8]
