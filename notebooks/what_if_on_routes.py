# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # What if: routes
# A model of a fleet's own legs, asked about a round that has not been driven: when will each stop be reached, how sure
# is that, and what would another departure, driver or order of stops change? The fleet is simulated, so the truth of
# every leg is known; the functions are those that shards call.

# %%
import datetime

import matplotlib.pyplot as plt
import numpy as np

from engine.eta.chain import arrivals_along
from models.geo import distances_m
from pipelines.fleet.past_legs import past_legs
from pipelines.fleet.seen_legs import seen_legs
from pipelines.fleet.simulate import Fleet, simulate_days
from pipelines.fleet.straight_city import straight_city
from pipelines.replay_finishes import replay
from pipelines.training import TrainingPlan, train_bundle
from pipelines.trees import TreePlan
from pipelines.trip_schemas import load_schema

fleet = Fleet(vans=6, stops_per_van=24, days=14, gps_days=frozenset(range(14)))
legs = [leg for day in simulate_days(np.random.default_rng(7), straight_city(), fleet) for leg in seen_legs(day)]
trips = past_legs(legs, "Europe/Lisbon", "acme")  # as `outrider legs export` would give them
last_day = trips.legs["moment_ms"] // 86_400_000 == trips.legs["moment_ms"][-1] // 86_400_000
train, today = trips.take(~last_day), trips.take(last_day)
print(f"{len(train):,} legs of {fleet.vans} vans, and a last day of {len(today):,}")

# %% [markdown]
# The schema `legs` reads what finished legs tell of drivers and places, and the training measures on drivers' ways how
# errors add up along them: with correlation 0 the range of a route would grow with the root of its legs, with 1 with
# their number.

# %%
plan = TrainingPlan(
    medians=(TreePlan(leaves=8, least_rows=40, rounds=100),),
    tails=TreePlan("quantile", rounds=60, leaves=4, least_rows=60),
)
bundle = train_bundle(train, load_schema("legs"), plan).bundle
said = replay(bundle, today).running_s
inside = (said[:, 0] <= today.legs["duration_s"]) & (today.legs["duration_s"] <= said[:, 2])
print(
    f"legs of the last day: error {np.abs(said[:, 1] - today.legs['duration_s']).mean():.0f} s, {inside.mean():.0%} inside"
)
print(
    f"correlation along a route {bundle.spread.correlation:.2f}, factors {bundle.spread.low:.2f} and {bundle.spread.high:.2f}"
)

# %% [markdown]
# ## A round of the last day
# Medians add up, half-widths join by the measured correlation, and each stop takes what such stops took. The dots are
# when the van was really there; luck that a whole day shares (a slow driver, a missing parcel) lies outside of both.

# %%
van = today.legs["driver"][0]
round_ = today.take(today.legs["driver"] == van)
stops = {name: values[:12] for name, values in round_.legs.items()}


def arrivals(places, departs_ms, driver=van):
    """Return three quantiles of the arrival at each place in this order, epoch milliseconds, S × 3."""
    order = np.asarray(places)
    begin = np.array([stops["from_lat"][0], stops["from_lon"][0]])
    to_lat, to_lon = stops["to_lat"][order], stops["to_lon"][order]
    from_lat, from_lon = np.concatenate([begin[:1], to_lat[:-1]]), np.concatenate([begin[1:], to_lon[:-1]])
    base_m = distances_m(from_lat, from_lon, to_lat, to_lon)
    services_s = bundle.service.predict("acme", to_lat, to_lon)[0]
    moments = departs_ms + np.concatenate([[0], np.cumsum(base_m / 8.0 + services_s[:, 1])[:-1]]) * 1000
    ways = {
        "moment_ms": moments.astype(np.int64),
        "from_lat": from_lat,
        "from_lon": from_lon,
        "to_lat": to_lat,
        "to_lon": to_lon,
        "base_s": base_m / 11.1,
        "base_m": base_m,
        "stops_left": len(order) - np.arange(len(order), dtype=float),
        "weight_kg": stops["weight_kg"][order],
        "priority": stops["priority"][order],
        "zone": "Europe/Lisbon",
        "driver": np.full(len(order), driver, dtype=object),
        "company": "acme",
    }
    known = {"as_of_ms": np.full(len(order), int(moments.min())), **bundle.history.columns(ways)}
    legs_s = bundle.predict({**ways, **known}, offsets=None)
    begins = np.array([departs_ms], np.int64)
    return arrivals_along(
        begins, np.array([len(order)]), legs_s, services_s, np.zeros(len(order), np.int64), bundle.spread.row()[None]
    )


def minutes(reached, departs_ms):
    return (reached - departs_ms) / 60_000


departs_ms = int(stops["moment_ms"][0])
planned = np.arange(len(stops["to_lat"]))
reached = minutes(arrivals(planned, departs_ms), departs_ms)
actual = (stops["moment_ms"] + stops["duration_s"] * 1000 - departs_ms) / 60_000
figure, axes = plt.subplots(figsize=(10, 4.5), layout="constrained")
axes.fill_between(planned + 1, reached[:, 0], reached[:, 2], alpha=0.25, label="four in five")
axes.plot(planned + 1, reached[:, 1], label="median")
axes.plot(planned + 1, actual, "o", color="black", markersize=5, label="as it was")
axes.set(xlabel="stop", ylabel="min after departure", title=f"{van}: arrivals as told at departure", xticks=planned + 1)
axes.legend()
plt.show()

# %% [markdown]
# ## Another departure
# The same round begun at other hours: how long it takes until the last stop, with its range.

# %%
midnight_ms = departs_ms - departs_ms % 86_400_000
hours = np.arange(6, 20)
ends = np.array(
    [minutes(arrivals(planned, midnight_ms + hour * 3_600_000), midnight_ms + hour * 3_600_000)[-1] for hour in hours]
)
figure, axes = plt.subplots(figsize=(9, 3.8), layout="constrained")
axes.errorbar(hours, ends[:, 1], yerr=[ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 1]], fmt="o", capsize=4)
axes.set(xlabel="departure, UTC", ylabel="min until the last stop", title="The same round at another hour")
plt.show()

# %% [markdown]
# ## Another order, another driver
# Nearest stop first, the plan the other way round, and the plan in the hands of each of the fleet's drivers. What
# finished legs tell of a driver is part of the answer.

# %%
nearest, left, here = [], list(planned), (stops["from_lat"][0], stops["from_lon"][0])
while left:
    away = distances_m(*here, stops["to_lat"][left], stops["to_lon"][left])
    nearest.append(left.pop(int(np.argmin(away))))
    here = (stops["to_lat"][nearest[-1]], stops["to_lon"][nearest[-1]])
drivers = sorted(set(trips.legs["driver"]))
cases = {
    "as planned": arrivals(planned, departs_ms),
    "nearest first": arrivals(nearest, departs_ms),
    "reversed": arrivals(planned[::-1], departs_ms),
}
cases |= {f"planned, {name}": arrivals(planned, departs_ms, name) for name in drivers if name != van}
rows = np.array([minutes(reached, departs_ms)[-1] for reached in cases.values()])
figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
axes.errorbar(
    rows[:, 1], range(len(cases)), xerr=[rows[:, 1] - rows[:, 0], rows[:, 2] - rows[:, 1]], fmt="o", capsize=4
)
axes.axvline(rows[0, 1], color="black", linewidth=1, linestyle="--")
axes.set_yticks(range(len(cases)), cases)
axes.invert_yaxis()
axes.set(
    xlabel="min until the last stop", title=f"The round of {van} on {datetime.date.fromtimestamp(departs_ms / 1000)}"
)
plt.show()
