# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Calibration and errors
# A range is honest when four trips in five end inside it, one in ten before and one in ten after: not only over all,
# but at every hour and distance. This page looks where that holds, and at the trips that were missed most.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models.eta.calibration import tail_scores
from models.eta.features import base_times_s, leg_features
from pipelines.backtest import backtest, split_trips
from pipelines.scores import named_segments
from pipelines.training import TrainingPlan
from pipelines.trees import TreePlan
from pipelines.trip_schemas import load_schema
from pipelines.trips import finishes_ms, read_trips

SCHEMA = load_schema("nyc_taxi")
PLAN = TrainingPlan(
    medians=(TreePlan(leaves=8, least_rows=40, rounds=100),),
    tails=TreePlan("quantile", rounds=60, leaves=4, least_rows=60),
)
train, test = split_trips(read_trips(Path("tests/data/eta/nyc_taxi_2000.csv"), SCHEMA))
found = backtest(train, test, SCHEMA, PLAN)
bundle, legs = found.trained.bundle, found.test.legs
actual_s = legs["duration_s"]
matrix, base_s = leg_features(legs, bundle.spec), base_times_s(legs, bundle.spec)
raw_s = bundle.times_s(base_s, matrix, bundle.log_quantiles(matrix), offsets=np.zeros((len(actual_s), 2)))
ways = {
    "raw quantiles": raw_s,
    "frozen calibration": found.replayed.frozen_s,
    "in time order": found.replayed.running_s,
}

# %% [markdown]
# ## Over all
# Raw quantiles of trees are too narrow. Calibration on trips that no fold had seen makes them honest for a world that
# stands still; in time order, what finishes keeps them honest while it moves.


# %%
def shares(quantiles_s):
    low, _, high = quantiles_s.T
    return np.mean(actual_s < low), np.mean((low <= actual_s) & (actual_s <= high)), np.mean(actual_s > high)


for name, quantiles_s in ways.items():
    before, inside, after = shares(quantiles_s)
    width_s = np.mean(quantiles_s[:, 2] - quantiles_s[:, 0])
    print(f"{name:20} inside {inside:.1%}   before {before:.1%}   after {after:.1%}   mean width {width_s:.0f} s")

# %% [markdown]
# ## By hour, distance and day
# The bars are the coverage of each segment with the interval that so few trips allow. A segment far below 80 % is where
# customers wait for nothing.

# %%
segments = {name: mask for name, mask in named_segments(found.test, bundle.spec).items() if mask.sum() >= 25}
figure, axes = plt.subplots(figsize=(11, 4), layout="constrained")
for offset, (name, quantiles_s) in zip((-0.2, 0.2), list(ways.items())[1:], strict=True):
    inside = (quantiles_s[:, 0] <= actual_s) & (actual_s <= quantiles_s[:, 2])
    share = np.array([inside[mask].mean() for mask in segments.values()])
    error = 1.96 * np.sqrt(share * (1 - share) / np.array([mask.sum() for mask in segments.values()]))
    axes.bar(np.arange(len(segments)) + offset, 100 * share, 0.38, yerr=100 * error, capsize=3, label=name)
axes.axhline(80, color="black", linewidth=1, linestyle="--")
axes.set_xticks(range(len(segments)), [f"{name}\n{mask.sum()}" for name, mask in segments.items()])
axes.set(ylabel="inside, percent", ylim=(50, 100), title="Coverage by segment (number of trips below)")
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## Over time
# The share inside over the last hundred finished trips, and how much the running residual moved predictions then.

# %%
order = np.argsort(finishes_ms(found.test))
figure, (top, bottom) = plt.subplots(2, 1, figsize=(11, 5), layout="constrained", sharex=True)
for name, quantiles_s in list(ways.items())[1:]:
    inside = ((quantiles_s[:, 0] <= actual_s) & (actual_s <= quantiles_s[:, 2]))[order].astype(float)
    top.plot(np.arange(99, len(order)), 100 * np.convolve(inside, np.ones(100) / 100, "valid"), label=name)
top.axhline(80, color="black", linewidth=1, linestyle="--")
top.set(ylabel="inside, percent", title="Coverage of the last 100 trips")
top.legend()
bottom.plot(np.arange(len(order)), 100 * np.expm1(found.replayed.shifts[order]))
bottom.set(xlabel="finished trips", ylabel="percent", title="How much finished trips move the next ones")
plt.show()

# %% [markdown]
# ## How wrong
# Errors grow with the time predicted, and the range has to grow with them; the scores on the right are what calibration
# works on: by how much (log ratio) a trip fell out of its range, zero being its edge.

# %%
middle_s, error_min = found.replayed.running_s[:, 1], (actual_s - found.replayed.running_s[:, 1]) / 60
bands = np.quantile(middle_s, np.linspace(0, 1, 9))
band = np.clip(np.searchsorted(bands, middle_s, side="right") - 1, 0, 7)
centre = np.array([middle_s[band == place].mean() / 60 for place in range(8)])
tails = np.array([np.quantile(error_min[band == place], [0.1, 0.5, 0.9]) for place in range(8)])
width = np.array(
    [
        (found.replayed.running_s[band == place][:, [0, 2]] - middle_s[band == place, None]).mean(axis=0) / 60
        for place in range(8)
    ]
)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
left.fill_between(centre, tails[:, 0], tails[:, 2], alpha=0.3, label="four trips in five")
left.plot(centre, tails[:, 1], label="middle trip")
left.plot(centre, width, color="black", linestyle="--", linewidth=1, label="as the range says")
handles, labels = left.get_legend_handles_labels()
left.legend(handles[:3], labels[:3])
left.set(xlabel="predicted, min", ylabel="actual − predicted, min", title="Error by time predicted")
scores = tail_scores(np.log(found.replayed.running_s / base_s[:, None]), np.log(actual_s / base_s))
right.hist(scores, bins=np.linspace(-1.5, 0.7, 45), histtype="step", label=["before P10", "after P90"], linewidth=1.5)
right.axvline(0, color="black", linewidth=1)
right.legend(loc="upper left")
right.set(xlabel="score, log ratio", ylabel="trips", title="By how much trips fell out of their range")
plt.show()

# %% [markdown]
# ## The worst misses
# Worth reading one by one: a place no trip had gone to, a closed bridge, a meter left running.

# %%
worst = np.argsort(-np.abs(error_min))[:8]
clock = {name: matrix[:, bundle.spec.names.index(name)] for name in ("hour", "weekday", "great_circle_m")}
print("  hour  day     km   predicted          actual")
for row in worst:
    low, middle, high = found.replayed.running_s[row] / 60
    day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][int(clock["weekday"][row])]
    km = clock["great_circle_m"][row] / 1000
    print(
        f"{clock['hour'][row]:6.1f}  {day}  {km:5.1f}   {middle:4.0f} ({low:.0f}–{high:.0f}) min   {actual_s[row] / 60:4.0f} min"
    )
