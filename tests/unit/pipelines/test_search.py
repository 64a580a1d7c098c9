"""A search for a plan goes on where it was broken off, and a retraining promotes what the gates let through."""

import dataclasses

import numpy as np
import pytest

from models.errors import InvalidInput
from pipelines.datasets import LegDataset
from pipelines.registry import Registry
from pipelines.retraining import retrain, retrain_all
from pipelines.search import search_plan
from pipelines.trip_schemas import load_schema
from tests.legs import some_legs
from tests.trips import QUICK, SAMPLE, TOWN, town_trips

NYC = load_schema("nyc_taxi")
LEGS = load_schema("legs")
SMALL = dataclasses.replace(QUICK, medians=(dataclasses.replace(QUICK.medians[0], rounds=20),))


def test_a_search_goes_on_where_it_was_broken_off(tmp_path):
    trips, heard = town_trips(400), []
    journal = tmp_path / "searches" / "one.log"
    search_plan(trips, TOWN, SMALL, trials=1, journal=journal)
    found = search_plan(
        trips, TOWN, SMALL, trials=2, journal=journal, told=lambda done, best_s: heard.append((done, best_s))
    )
    assert [done for done, _ in heard] == [2]
    assert found.medians[0].rounds == 20
    again = search_plan(trips, TOWN, SMALL, trials=2, journal=journal)
    assert again == found


def test_a_retraining_promotes_the_first_model_and_keeps_its_twin_out(tmp_path):
    source = tmp_path / "trips.csv"
    source.write_text("\n".join(SAMPLE.read_text().splitlines()[:601]) + "\n")
    first = retrain(source, NYC, tmp_path / "models", plan=QUICK, accelerate=False)
    again = retrain(source, NYC, tmp_path / "models", plan=QUICK, accelerate=False)
    assert again.model == first.model
    assert Registry(tmp_path / "models").champion() == (first.model if first.is_promoted else None)
    assert not (first.is_promoted and again.is_promoted)


def test_a_company_with_enough_legs_gets_a_model_of_its_own(tmp_path):
    legs, heard = LegDataset(tmp_path / "legs"), {}
    for company, rows in (("ten_1", 600), ("ten_2", 260), ("ten_3", 50)):
        names = np.array([f"{company}_{row}" for row in range(rows)], dtype=object)
        legs.add({**some_legs(rows), "leg": names, "company": np.full(rows, company, dtype=object)})
    retrain_all(
        tmp_path / "legs", LEGS, tmp_path / "models", heard.__setitem__, least=250, plan=QUICK, accelerate=False
    )
    assert set(heard) == {"", "ten_1", "ten_2"}
    models = {tenant: outcome.model for tenant, outcome in heard.items()}
    assert len(set(models.values())) == 3
    books = Registry(tmp_path / "models")
    assert books.load(models["ten_1"]).metadata["data"]["rows"] < books.load(models[""]).metadata["data"]["rows"]
    for tenant, outcome in heard.items():
        if outcome.is_promoted:
            assert books.champion(tenant) == outcome.model


def test_too_little_data_is_an_error_of_its_own(tmp_path):
    source = tmp_path / "trips.csv"
    source.write_text("\n".join(SAMPLE.read_text().splitlines()[:50]) + "\n")
    with pytest.raises(InvalidInput, match="too few"):
        retrain(source, NYC, tmp_path / "models")
