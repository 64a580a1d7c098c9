"""The gazetteer against houses of its own map, written as people write them, beside looking for the exact name.

A house is drawn from the file and its address spoilt: abbreviations (half of them), a letter wrong in the longest word
(60 %), small words left out (30 %), no accents (half), capitals (30 %), floors and doors (40 %), the town left out
(20 %) or with a postal code that is not its own. It counts as found when the answer lies within 100 m. In the second
run the houses that are asked for are deleted first, so that neighbours on the street have to do. The plain alternative
takes what stands before the number, without accents and in lower case, as the street's name. Times are processor time.
"""

import random
import shutil
import sqlite3
import statistics
import tempfile
import time
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.report import heading
from engine.gazetteer.build import Point, distance_m
from engine.gazetteer.look_up import Gazetteer
from engine.gazetteer.words import fold

__all__ = ["measure_geocode"]

FOUND_M: Final = 100.0
SURE: Final = 0.6  # what deliveries take (`geocoding.least_confidence`)
_SHORT: Final = {
    "Rua": "R.",
    "Avenida": "Av.",
    "Praça": "Pç.",
    "Travessa": "Tv.",
    "Largo": "Lg.",
    "Doutor": "Dr.",
    "São": "S.",
    "Santa": "Sta.",
    "Santo": "Sto.",
    "Dom": "D.",
    "Engenheiro": "Eng.",
    "General": "Gen.",
    "Professor": "Prof.",
    "Padre": "Pe.",
}
_SMALL: Final = frozenset({"da", "de", "do", "das", "dos"})


@dataclass(frozen=True, slots=True)
class _House:
    street: str
    thing: int
    number: int
    suffix: str
    at: Point


def measure_geocode(path: Path, *, town: str, count: int, seed: int) -> dict[str, Any]:
    """Return how many of `count` houses in or around `town` are found, and how long a look-up takes."""
    with closing(sqlite3.connect(path)) as file:
        houses = _houses(file, town)
        chance = random.Random(seed)
        asked = chance.sample(houses, min(count, len(houses)))
        written = [_written(house, town, chance) for house in asked]
        plain = {fold(name): (lat, lon) for name, lat, lon in file.execute("SELECT name, lat, lon FROM things")}
    with tempfile.TemporaryDirectory(prefix="outrider-bench-") as folder:
        without = Path(folder) / "without.sqlite"
        shutil.copyfile(path, without)
        with closing(sqlite3.connect(without)) as file:
            keys = [(house.thing, house.number, house.suffix) for house in asked]
            file.executemany("DELETE FROM houses WHERE thing = ? AND number = ? AND suffix = ?", keys)
            file.commit()
        result = heading("geocode", seconds=0.0, repeats=1) | {"houses": len(asked), "seed": seed}
        result |= _asked(Gazetteer(path), asked, written)
        unknown = _asked(Gazetteer(without), asked, written)
    by_name = [plain.get(fold(text.partition(",")[0].rstrip("0123456789 "))) for text in written]
    near = sum(at is not None and distance_m(at, house.at) <= FOUND_M for at, house in zip(by_name, asked, strict=True))
    return result | {
        "found_share_unknown_house": unknown["found_share"],
        "plain_found_share": near / len(asked),
    }


def _houses(file: sqlite3.Connection, town: str) -> list[_House]:
    query = """SELECT name, thing, number, suffix, houses.lat, houses.lon FROM houses JOIN things ON things.id = thing
        WHERE context LIKE ? AND abs(houses.lat - t.lat) < 0.05 AND abs(houses.lon - t.lon) < 0.07"""
    query = query.replace("WHERE", "JOIN (SELECT lat, lon FROM towns WHERE words = ? LIMIT 1) AS t WHERE")
    rows = file.execute(query, (fold(town), f"%{town}%"))
    return [_House(name, thing, number, suffix, (lat, lon)) for name, thing, number, suffix, lat, lon in rows]


def _asked(gazetteer: Gazetteer, houses: Sequence[_House], written: Sequence[str]) -> dict[str, Any]:
    found, wrong, times_us = 0, 0, []
    with closing(gazetteer):
        for house, text in zip(houses, written, strict=True):
            began = time.thread_time()
            answer = gazetteer.find(text)
            times_us.append((time.thread_time() - began) * 1e6)
            if answer is not None and distance_m((answer.latitude, answer.longitude), house.at) <= FOUND_M:
                found += 1
            elif answer is not None and answer.confidence >= SURE:
                wrong += 1
    return {
        "found_share": found / len(houses),
        "wrong_and_sure_share": wrong / len(houses),
        "look_up_median_us": statistics.median(times_us),
        "look_up_p95_us": statistics.quantiles(times_us, n=20)[-1],
    }


def _written(house: _House, town: str, chance: random.Random) -> str:
    words = house.street.split()
    if chance.random() < 0.5:
        words = [_SHORT.get(word, word) for word in words]
    if chance.random() < 0.6:
        longest = max(range(len(words)), key=lambda place: len(words[place]))
        words[longest] = _misspelt(words[longest], chance)
    if chance.random() < 0.3:
        words = [word for word in words if word not in _SMALL]
    text = " ".join(words)
    if chance.random() < 0.5:
        text = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    if chance.random() < 0.3:
        text = text.upper()
    text += f"{chance.choice([' ', ', ', ' nº ', ' n. '])}{house.number}{house.suffix}"
    if chance.random() < 0.4:
        text += chance.choice([", 2º Esq", " r/c dto", ", 3 andar"])
    if chance.random() < 0.8:
        text += chance.choice([f", {town}", f" 4000-123 {town}", f", {town}, Portugal"])
    return text


def _misspelt(word: str, chance: random.Random) -> str:
    if len(word) < 5:
        return word
    place, letter = chance.randrange(1, len(word) - 1), chance.choice("abcdeilmnorst")
    spoil: Sequence[Callable[[], str]] = (
        lambda: word[:place] + word[place + 1 :],
        lambda: word[:place] + letter + word[place + 1 :],
        lambda: word[:place] + letter + word[place:],
        lambda: word[:place] + word[place + 1] + word[place] + word[place + 2 :],
    )
    return chance.choice(spoil)()
