"""A city on a real road network: ways along its roads, doors along its quieter streets."""

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.roads.network import RoadNetwork
from models.errors import InvalidInput
from models.geo import METRES_PER_DEGREE, distances_m
from pipelines.fleet.doorsteps import Doorsteps
from pipelines.fleet.drive import Way
from pipelines.fleet.simulate import City

__all__ = ["RoadWays", "city_on_roads", "porto"]

_PROFILE = "van"
_QUIET_MPS = 50 / 3.6  # people live along streets that are no faster
_FROM_KERB_M = (5.0, 25.0)


class RoadWays:
    """The fastest ways of a road network at free flow."""

    def __init__(self, network: RoadNetwork) -> None:
        self._network = network

    def way(self, origin: tuple[float, float], destination: tuple[float, float]) -> Way:
        """Return the way between two places, latitude and longitude in degrees.

        Raises
        ------
        InvalidInput
            If no road leads from one to the other.
        """
        leg = self._network.leg(origin, destination, _PROFILE)
        if leg is None:
            raise InvalidInput(f"no road leads from {origin} to {destination}")
        return Way(leg.latitudes, leg.longitudes, leg.seconds, leg.metres)


def city_on_roads(
    network: RoadNetwork,
    rng: np.random.Generator,
    *,
    addresses: int,
    depot: tuple[float, float],
    radius_m: float,
    zone: ZoneInfo,
) -> City:
    """Return a city of so many addresses within a radius of the depot, on the roads of a network."""
    latitude, longitude = _doors(network, rng, addresses, depot, radius_m)
    north = radius_m / METRES_PER_DEGREE
    east = north / np.cos(np.radians(depot[0]))
    box = (depot[0] - north, depot[1] - east, depot[0] + north, depot[1] + east)
    return City(RoadWays(network), Doorsteps.simulate(rng, latitude, longitude), depot, box, zone)


def porto(network: RoadNetwork, rng: np.random.Generator) -> City:
    """Return the demo city: 12,000 addresses within 9 km of a depot in the north of Porto."""
    zone = ZoneInfo("Europe/Lisbon")
    return city_on_roads(network, rng, addresses=12_000, depot=(41.178, -8.630), radius_m=9_000.0, zone=zone)


def _doors(
    network: RoadNetwork, rng: np.random.Generator, count: int, depot: tuple[float, float], radius_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    arrays, number = network.arrays, network.profiles.index(_PROFILE)
    segment, length_m = arrays["arc_segment"], arrays["arc_dm"] / 10.0
    starts = arrays["segment_points"]
    lat, lon = (arrays[f"point_{axis}"] / 1e7 for axis in ("lat", "lon"))
    speed_mps = length_m / np.maximum(arrays["arc_ms"][number] / 1000.0, 0.001)
    is_near = distances_m(lat[starts[segment]], lon[starts[segment]], depot[0], depot[1]) < radius_m
    is_home = is_near & (arrays["arc_profiles"] >> number & 1 == 1) & (speed_mps <= _QUIET_MPS)
    chosen = segment[rng.choice(np.flatnonzero(is_home), count, p=length_m[is_home] / length_m[is_home].sum())]
    begin = rng.integers(starts[chosen], starts[chosen + 1] - 1)
    share = rng.random(count)
    north, east = lat[begin + 1] - lat[begin], (lon[begin + 1] - lon[begin]) * np.cos(np.radians(lat[begin]))
    norm = np.maximum(np.hypot(north, east), 1e-9)
    aside = rng.uniform(*_FROM_KERB_M, count) * rng.choice([-1.0, 1.0], count) / METRES_PER_DEGREE
    return (
        lat[begin] + share * north - aside * east / norm,
        lon[begin] + (share * east + aside * north / norm) / np.cos(np.radians(lat[begin])),
    )
