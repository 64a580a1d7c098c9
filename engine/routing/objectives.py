"""What a plan makes small: distance, time or fuel, or several of them by weight. Pure.

Fuel is linear in what is on board, which the consumption tables of fleets bear out (Xiao, Zhao, Kaku and Xu 2012,
*Development of a fuel consumption optimization model for the capacitated vehicle routing problem*).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["FUEL", "Consumption", "Criterion", "Rates", "rates_of"]

Criterion = Literal["distance", "time", "fuel"]


@dataclass(frozen=True, slots=True)
class Consumption:
    """Fuel of one kind of vehicle."""

    empty_ml_per_km: float
    load_ml_per_km_kg: float
    """For each kilogram on board."""


FUEL: Mapping[str, Consumption] = {
    "car": Consumption(65.0, 0.012),
    "van": Consumption(90.0, 0.012),
    "truck": Consumption(205.0, 0.015),
    "bike": Consumption(1.0, 0.0),
}
"""By vehicle profile: usual city figures, empty. A bike's is a token, so that shorter is better.

What load adds is for cars and vans the 0.12 litres per 100 km and 100 kg of Koffler and Rohde-Brandenburger (2010,
*On the calculation of fuel savings through lightweight design in automotive life cycle assessments*), for trucks what
makes a rigid lorry of 6 t payload use 18 % less empty and 18 % more full than half laden, as the British government's
conversion factors for company reporting have it.
"""


@dataclass(frozen=True, slots=True)
class Rates:
    """What a vehicle's way costs."""

    per_metre: float
    per_second: float
    per_metre_gram: float


def rates_of(weights: Mapping[Criterion, float], profile: str, typical: Mapping[Criterion, float]) -> Rates:
    """Return the cost of a kind of vehicle, in the units of the first criterion: metres, seconds or millilitres.

    Parameters
    ----------
    weights
        How much each criterion counts; their sum is taken as one.
    profile
        Kind of vehicle, a key of `FUEL`.
    typical
        What a usual leg comes to by each criterion, so that a weight means the same for all of them.
    """
    whole, first = sum(weights.values()), typical[next(iter(weights))]
    share = {criterion: weight / whole * first / max(typical[criterion], 1e-9) for criterion, weight in weights.items()}
    fuel = FUEL[profile]
    return Rates(
        per_metre=share.get("distance", 0.0) + share.get("fuel", 0.0) * fuel.empty_ml_per_km / 1000,
        per_second=share.get("time", 0.0),
        per_metre_gram=share.get("fuel", 0.0) * fuel.load_ml_per_km_kg / 1_000_000,
    )
