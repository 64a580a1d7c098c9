# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Explore the history
# What a file of finished trips holds before anything is learned from it: how many rows can be used, when and where the
# trips were, how fast, and how much of a trip's time its distance alone explains.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models.eta.features import base_times_s, leg_features
from pipelines.preparing import clean_trips, constant_features, fit_spec
from pipelines.trip_schemas import load_schema
from pipelines.trips import read_trips

SCHEMA = load_schema("nyc_taxi")
trips = read_trips(Path("tests/data/eta/nyc_taxi_2000.csv"), SCHEMA)
good, taken = clean_trips(trips, SCHEMA)
print(f"{len(trips):,} trips; {trips.refused or 'no row'} without use; not learned from: {taken or 'none'}")

# %% [markdown]
# The specification is how a model reads this city: the turn of its street grid, a pace along and across it, and the
# categories that come often enough. Features that say nothing here are named, so that nobody waits for them to help.

# %%
spec = fit_spec(good, SCHEMA)
matrix = leg_features(good.legs, spec)
column = {name: matrix[:, place] for place, name in enumerate(spec.names)}
duration_min = good.legs["duration_s"] / 60
speed_kmh = column["great_circle_m"] / good.legs["duration_s"] * 3.6
print(f"grid turned by {spec.pace.grid_deg:.0f}°, a fixed {spec.pace.fixed_s:.0f} s a trip")
print("say nothing here:", ", ".join(constant_features(matrix, spec)))

# %% [markdown]
# ## When
# Speed follows the clock: nights are half as fast again as working hours, and the middle half of trips at one hour is
# wide. The model has to earn its keep inside that band.

# %%
hours = column["hour"].astype(int)
quartiles = np.array([np.quantile(speed_kmh[hours == hour], [0.25, 0.5, 0.75]) for hour in range(24)])
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
left.fill_between(range(24), quartiles[:, 0], quartiles[:, 2], alpha=0.25, label="middle half")
left.plot(range(24), quartiles[:, 1], marker="o", label="median")
left.set(xlabel="hour of day", ylabel="km/h, as the crow flies", title="Speed by hour", ylim=(0, None))
left.legend()
median = np.full((7, 24), np.nan)
for weekday in range(7):
    for hour in range(24):
        here = (column["weekday"] == weekday) & (hours == hour)
        if here.sum() >= 5:
            median[weekday, hour] = np.median(speed_kmh[here])
image = right.imshow(median, aspect="auto", cmap="viridis")
right.set(xlabel="hour of day", title="Median km/h; white: fewer than 5 trips")
right.set_yticks(range(7), ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
figure.colorbar(image, ax=right, label="km/h")
plt.show()

# %% [markdown]
# ## Where
# Places where trips end, and how slow trips into them are beside their base time: above 1 they take longer than the
# city's pace says.

# %%
ratio = good.legs["duration_s"] / base_times_s(good.legs, spec)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharex=True, sharey=True)
box = [*np.quantile(good.legs["to_lon"], [0.005, 0.995]), *np.quantile(good.legs["to_lat"], [0.005, 0.995])]
east, north = good.legs["to_lon"], good.legs["to_lat"]
first = left.hexbin(east, north, gridsize=40, extent=box, bins="log", cmap="Blues", mincnt=1)
figure.colorbar(first, ax=left, label="trips")
second = right.hexbin(
    east,
    north,
    C=ratio,
    gridsize=40,
    extent=box,
    reduce_C_function=np.median,
    cmap="RdYlGn_r",
    vmin=0.6,
    vmax=1.6,
    mincnt=3,
)
figure.colorbar(second, ax=right, label="actual ÷ base time, median")
for axes, title in ((left, "Where trips end"), (right, "How slow they are")):
    axes.set(title=title, xlabel="longitude", ylabel="latitude", aspect=1 / np.cos(np.radians(np.median(north))))
plt.show()

# %% [markdown]
# ## How far
# Distance explains most of a trip's time. What base time leaves is the target: the logarithm of actual to base time. Its
# middle need not be zero, a model sees to that; its width is what there is to gain.

# %%
base_min = base_times_s(good.legs, spec) / 60
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
most = np.quantile(duration_min, 0.99)
left.scatter(base_min, duration_min, s=5, alpha=0.3)
left.plot([0, most], [0, most], color="black", linewidth=1, label="as the base time says")
left.set(xlabel="base time, min", ylabel="actual, min", title="Base time and actual", xlim=(0, most), ylim=(0, most))
left.legend()
right.hist(np.log(ratio), bins=60)
right.axvline(0, color="black", linewidth=1)
right.set(xlabel="log(actual ÷ base time)", ylabel="trips", title="What a model has to explain")
plt.show()
explained = {
    name: np.corrcoef(np.log(values), np.log(duration_min))[0, 1] ** 2
    for name, values in (("great circle", column["great_circle_m"]), ("base time", base_min))
}
print({name: f"{share:.0%} of the variance of the logarithm" for name, share in explained.items()})
