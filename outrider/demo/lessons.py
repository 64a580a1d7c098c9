"""What the demo's apprentice does: makes the past, trains on it, and lets the model serve.

`python -m outrider.demo.lessons` reads two lines of JSON (`outrider.demo.apprentice`): which town it is, whose past it
makes at once, and, when the company is there, whose legs these are. Then it does what `outrider retrain` does and
answers with a line.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.eta.bases import BaseTimes, RoadBases
from models.eta.history import driver_alias
from outrider.demo.apprentice import Company, Lesson, When
from outrider.demo.town import Town, load_city, load_roads
from pipelines.datasets import LegDataset
from pipelines.fleet.past_legs import past_columns
from pipelines.fleet.seen_legs import SeenLeg
from pipelines.registry import Registry
from pipelines.retraining import retrain
from pipelines.training import TrainingPlan
from pipelines.trip_schemas import load_schema

__all__ = ["learn"]

_NICENESS = 5  # the fleet that drives goes first
_FEW_LEGS = 3_000


def learn(legs: Sequence[SeenLeg], company: Company, base: BaseTimes | None = None) -> Lesson:
    """Train on a company's legs, and let the model serve it.

    A week may be too little to be sure that it is better than a table. It serves all the same, as by `outrider promote
    --force`: what it takes the place of are base times. `base` says those, as in the shards that it will serve.

    Raises
    ------
    InvalidInput
        If they are too few.
    """
    began = time.perf_counter()

    def driver_of(van: int) -> str:
        name = company.drivers[van] if van < len(company.drivers) else f"gone-{van}"
        return driver_alias(company.tenant, name)

    LegDataset(Path(company.legs)).add(past_columns(legs, company.zone, company.tenant, driver_of, base))
    models = Path(company.models)
    # small trees are grown soon; compiled ones are worth their while with thousands of drivers
    found = retrain(
        Path(company.legs),
        load_schema("legs"),
        models,
        company.tenant,
        plan=TrainingPlan.for_rows(_FEW_LEGS),
        accelerate=False,
    )
    if not found.is_promoted:
        Registry(models).promote(found.model, f"forced: {'; '.join(found.reasons)}", company.tenant)
    return Lesson(found.model, found.reasons, len(legs), round(time.perf_counter() - began, 1))


def _main() -> None:
    os.nice(_NICENESS)
    when = msgspec.json.decode(sys.stdin.buffer.readline(), type=When)
    roads = load_roads()
    legs = Town.of(load_city(roads), when.vans, when.now).past()
    if told := sys.stdin.buffer.readline():  # else the demo has ended meanwhile
        lesson = learn(legs, msgspec.json.decode(told, type=Company), RoadBases(roads))
        sys.stdout.buffer.write(msgspec.json.encode(lesson) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _main()
