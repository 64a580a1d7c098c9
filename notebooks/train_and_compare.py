# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Train and compare
# A model of the earlier trips, asked about the later ones in the order of time, beside the ways in which one would tell
# arrival times without it. The sample is small: the figures are for looking, not for boasting.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from models.eta.features import leg_features
from pipelines.backtest import backtest, split_trips
from pipelines.drift import stability_index
from pipelines.training import TrainingPlan
from pipelines.trees import TreePlan
from pipelines.trip_schemas import load_schema
from pipelines.trips import read_trips

SCHEMA = load_schema("nyc_taxi")
train, test = split_trips(read_trips(Path("tests/data/eta/nyc_taxi_2000.csv"), SCHEMA))
print(f"{len(train):,} trips to learn from, {len(test):,} later ones to be judged by")

# %% [markdown]
# `TrainingPlan.for_rows(len(train))` is what `outrider train` takes; this one is smaller, so that the page is quick.

# %%
plan = TrainingPlan(
    medians=(
        TreePlan(leaves=8, least_rows=40, rounds=100),
        TreePlan("huber", 0.15, leaves=8, least_rows=40, rounds=100),
    ),
    tails=TreePlan("quantile", rounds=60, leaves=4, least_rows=60),
)
found = backtest(train, test, SCHEMA, plan)
bundle = found.trained.bundle
print("\n".join(found.trained.notes))

# %% [markdown]
# ## How good
# Mean absolute error of each, and the gain on the same trips with an interval over redrawn days. An interval that
# touches zero is no gain, however large its middle: that is the gate of `outrider promote`.

# %%
errors = {**found.alternatives_mae_s, "model, frozen": found.frozen.mae_s, "model, in time order": found.running.mae_s}
names = {"naive": "great circle ÷ speed", "table": "hour × distance", "lgbm_plain": "plain LightGBM"}
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), layout="constrained")
order = sorted(errors, key=errors.get, reverse=True)
colours = ["tab:orange" if name.startswith("model") else "tab:blue" for name in order]
bars = left.barh([names.get(name, name) for name in order], [errors[name] for name in order], color=colours)
left.bar_label(bars, fmt="%.0f s", padding=3)
left.set(xlabel="mean absolute error, s", title="Error on later trips", xlim=(0, max(errors.values()) * 1.15))
for place, gain in enumerate(found.gains.values()):
    right.errorbar(
        gain.mean_s, place, xerr=[[gain.mean_s - gain.low_s], [gain.high_s - gain.mean_s]], fmt="o", capsize=4
    )
right.axvline(0, color="black", linewidth=1)
right.set_yticks(range(len(found.gains)), [f"over {names.get(name, name)}" for name in found.gains])
right.set(
    xlabel="gain, s, with 95 % interval", title="Paired gain on the same trips", ylim=(-0.6, len(found.gains) - 0.4)
)
plt.show()

# %% [markdown]
# ## What it looks at
# SHAP values of the median in minutes: how much each reason moves a trip on average. `usual` is what trips take beyond
# their base time, `today` what the trips that finished in the last hours say.

# %%
minutes = bundle.contributions(found.test.legs, shift=found.replayed.shifts)
sizes = {name: float(np.mean(np.abs(values))) for name, values in minutes.items() if np.any(values)}
order = sorted(sizes, key=sizes.get)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained")
left.barh(order, [sizes[name] for name in order])
left.set(xlabel="mean minutes, up or down", title="What moves a prediction")
hour = leg_features(found.test.legs, bundle.spec)[:, bundle.spec.names.index("hour")]
right.scatter(hour, minutes["time_of_day"], s=6, alpha=0.4)
right.axhline(0, color="black", linewidth=1)
right.set(xlabel="hour of day", ylabel="min", title="What the time of day adds")
plt.show()

# %% [markdown]
# ## What has moved
# Features whose values in the later trips are no longer those of training, by the population stability index: above
# 0.25 is a shift, and a reason to train anew before believing the model.

# %%
matrix = leg_features(found.test.legs, bundle.spec)
indices = {
    name: stability_index(bundle.probe[:, place], matrix[:, place])
    for place, name in enumerate(bundle.spec.names)
    if np.isfinite(matrix[:, place]).any()
}
largest = sorted(indices, key=indices.get)[-10:]
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.barh(
    largest,
    [indices[name] for name in largest],
    color=["tab:red" if indices[name] > 0.25 else "tab:blue" for name in largest],
)
axes.axvline(0.25, color="black", linewidth=1, linestyle="--")
axes.set(xlabel="population stability index", title="Drift of features")
plt.show()
