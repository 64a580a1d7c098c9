"""The demo's town: streets and doors, the traffic of its last days and of today, and how its drivers drive.

Whoever makes it of the same numbers has the same town, so that what is learned of its past holds today.
"""

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from pipelines.fleet.simulate import City, Fleet, draw_paces, simulate_days
from pipelines.fleet.traffic import Traffic

if TYPE_CHECKING:
    from engine.roads.network import RoadNetwork
    from pipelines.fleet.seen_legs import SeenLeg

__all__ = ["PAST_DAYS", "Town", "load_city", "load_roads"]

PAST_DAYS = 7
"""Days before today of which the past is made; Sundays and holidays are free."""

_LEAST_VANS = 12  # fewer drive too little to learn from; the others have left the company since
_STOPS_A_VAN = 24
_EARLIER = datetime.timedelta(minutes=45)  # the first minute of the demo holds the last twenty
_CITY_SEED, _TOWN_SEED, _PAST_SEED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Town:
    """Where, when and by whom is driven."""

    city: City
    traffic: Traffic
    """From the first of the past days until tomorrow night."""
    now: datetime.datetime
    """Local time at which the demo begins."""
    paces: tuple[float, ...]
    """How many times the others' time each van's driver takes."""

    @classmethod
    def of(cls, city: City, vans: int, now: datetime.datetime) -> Self:
        """Return the town at an instant, with the drivers of so many vans."""
        local = now.astimezone(city.zone)
        rng = np.random.default_rng(_TOWN_SEED)
        first_day = local.date() - datetime.timedelta(days=PAST_DAYS)
        traffic = Traffic.simulate(rng, first_day, PAST_DAYS + 2, city.box, city.zone)
        return cls(city, traffic, local, draw_paces(rng, max(vans, _LEAST_VANS)))

    def past(self) -> "list[SeenLeg]":
        """Return what the engine saw the vans drive on the days before today, around the time of day that it is now."""
        from pipelines.fleet.seen_legs import seen_legs  # compiled rules: only whoever makes the past waits for them

        fleet = Fleet(
            vans=len(self.paces),
            stops_per_van=_STOPS_A_VAN,
            first_day=self.traffic.begins.date(),
            days=PAST_DAYS,
            gps_days=frozenset(range(PAST_DAYS)),
            begins=(self.now - _EARLIER).time(),
            paces=self.paces,
        )
        days = simulate_days(np.random.default_rng(_PAST_SEED), self.city, fleet, self.traffic)
        return [leg for day in days for leg in seen_legs(day)]


def load_roads() -> "RoadNetwork":
    """Return the roads of the city, which are made first where set-up has not made them."""
    from engine.roads import warm_up  # compiled rules: only whoever runs the demo waits for them
    from engine.roads.network import RoadNetwork

    if not warm_up.is_built():
        warm_up.main()
    return RoadNetwork.load(warm_up.BUILT)


def load_city(roads: "RoadNetwork") -> City:
    """Return the city on its roads."""
    from pipelines.fleet.on_roads import porto

    return porto(roads, np.random.default_rng(_CITY_SEED))
