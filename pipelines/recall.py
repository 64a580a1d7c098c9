"""What finished trips tell of later ones, added to trips by the class that the engine uses (`models.eta.history`)."""

import numpy as np

from models.eta.bundle import Bundle
from models.eta.features import FeatureSpec, base_times_s
from models.eta.history import PaceHistory, history_columns
from pipelines.trips import Trips, finishes_ms

__all__ = ["learned_until_ms", "recalled", "with_history"]


def with_history(trips: Trips, spec: FeatureSpec, known: PaceHistory) -> Trips:
    """Return trips with the history columns of each as of its moment; `known` goes on with what finished among them."""
    legs = trips.legs
    finished = {
        **{
            name: legs[name]
            for name in ("from_lat", "from_lon", "to_lat", "to_lon", "driver", "company", "vehicle")
            if name in legs
        },
        "ended_ms": finishes_ms(trips),
        "log_ratio": np.log(legs["duration_s"] / base_times_s(legs, spec)),
    }
    return Trips({**legs, **history_columns(legs, finished, known=known)}, trips.split, trips.refused)


def recalled(bundle: Bundle, trips: Trips) -> Trips:
    """Return trips with what a bundle remembers, and what finishes among them; as they are if it needs none.

    A bundle's memory is of all that it was trained on. Trips of which some are no later than that begin with no memory:
    they would be told of their own future, and of themselves.
    """
    if bundle.history is None:
        return trips
    is_later = not len(trips) or int(trips.legs["moment_ms"].min()) > learned_until_ms(bundle)
    return with_history(trips, bundle.spec, bundle.history.copy() if is_later else PaceHistory())


def learned_until_ms(bundle: Bundle) -> int:
    """Return when the newest trip ended that a bundle was trained on, epoch milliseconds; 0 where it does not say."""
    return int(bundle.metadata.get("data", {}).get("untilMs", 0))
