"""Real addresses of a gazetteer, drawn by dice: orders for trials."""

import csv
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from models.errors import InvalidInput

__all__ = ["Address", "sample_addresses", "write_orders"]

_HOUSES = """
    SELECT things.name, things.context, houses.number, houses.suffix, houses.lat, houses.lon
    FROM houses JOIN things ON things.id = houses.thing ORDER BY houses.thing, houses.number, houses.suffix
"""
_CITY = "Porto"  # named where a street lies in several parts of it
_COLUMNS = ("reference", "dropoff.address", "dropoff.latitude", "dropoff.longitude", "weightKg", "serviceTimeS")


@dataclass(frozen=True, slots=True)
class Address:
    """A house."""

    text: str
    latitude: float
    longitude: float


def sample_addresses(gazetteer: Path, count: int, seed: int) -> list[Address]:
    """Return houses of a gazetteer, each once; the same seed draws the same.

    Raises
    ------
    InvalidInput
        If it has not so many.
    """
    with sqlite3.connect(f"file:{gazetteer}?mode=ro", uri=True) as database:
        houses = database.execute(_HOUSES).fetchall()
    if count > len(houses):
        raise InvalidInput(f"the gazetteer has {len(houses)} houses", [("count", "more than there are")])
    drawn = random.Random(seed).sample(houses, count)  # noqa: S311  # no secret
    return [_address(*house) for house in drawn]


def write_orders(addresses: Sequence[Address], seed: int, out: TextIO) -> None:
    """Write a delivery to each address as CSV, as an import takes it."""
    dice = random.Random(seed)  # noqa: S311  # no secret
    table = csv.writer(out)
    table.writerow(_COLUMNS)
    for number, one in enumerate(addresses, 1):
        weight_kg = round(dice.lognormvariate(0.8, 0.8) + 0.1, 1)
        table.writerow((f"ORDER-{number:05d}", one.text, one.latitude, one.longitude, weight_kg, 90))


def _address(street: str, context: str, number: int, suffix: str, latitude: float, longitude: float) -> Address:
    towns = [town.strip() for town in context.split(";") if town.strip()]
    town = _CITY if _CITY in towns or not towns else towns[0]
    text = f"{street} {number}{suffix}, {town}"
    return Address(text, latitude, longitude)
