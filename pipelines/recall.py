"""What finished trips tell of later ones, added to trips by the class that the engine uses (`models.eta.history`)."""

import numpy as np

from models.eta.bundle import Bundle
from models.eta.features import FeatureSpec, base_times_s
from models.eta.history import PaceHistory, history_columns
from pipelines.trips import Trips, finishes_ms

__all__ = ["recalled", "with_history"]


def with_history(trips: Trips, spec: FeatureSpec, known: PaceHistory) -> Trips:
    """Return trips with the history columns of each as of its moment; `known` goes on with what finished among them."""
    legs = trips.legs
    finished = {
        **{
            name: legs[name]
            for name in ("from_lat", "from_lon", "to_lat", "to_lon", "driver", "company")
            if name in legs
        },
        "ended_ms": finishes_ms(trips),
        "log_ratio": np.log(legs["duration_s"] / base_times_s(legs, spec)),
    }
    return Trips({**legs, **history_columns(legs, finished, known=known)}, trips.split, trips.refused)


def recalled(bundle: Bundle, trips: Trips) -> Trips:
    """Return later trips with what a bundle remembers, and what finishes among them; as they are if it needs none."""
    if bundle.history is None:
        return trips
    return with_history(trips, bundle.spec, bundle.history.copy())
