"""Finding an address in a gazetteer: candidates by their words, the best of them by how much of it was said.

A word that is not in the gazetteer is replaced by those within one letter of it (two in long words). What names a
street counts by how rare its words are; the town, the postal code and a house number that exists decide between streets
of one name. Where two that lie apart are as good as each other, the answer says so by its confidence.
"""

import heapq
import math
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.gazetteer.build import SCHEMA_VERSION, SHORTEST_WITH_TYPOS, Point, distance_m
from engine.gazetteer.words import Question, edits_apart, is_number, read_question, shortened
from models.errors import BadSettings

__all__ = ["Found", "FoundKind", "Gazetteer"]

FoundKind = Literal["house", "street", "place"]
"""How exact a position is: the house, somewhere in the street, or a place of this name."""

_MOST_CANDIDATES = 60
_COMMON_SHARE, _COMMON_LEAST = 0.08, 200  # a word of more things than this finds none by itself: `rua`, `travessa`
_LEAST_WEIGHT = 0.5
_RARE = 3  # things that a word which nobody knows is taken to be in
_LEAST_NAMED = 0.5  # share of a name that has to be said
_LONG_WORD = 8  # from which length on two letters may be wrong
_LONGEST_TOWN = 4  # words
_EDIT_COST = 0.12
_SURE_M = 300.0  # two answers that are this close are one
_TOWN_REACH_M = 4000.0
_TIE = 0.04  # two scores that are this close are as good as each other
_WORTHLESS = 0.35  # a confidence at which an answer has nothing to do with the question
_RIVALRY = 0.5  # what is left of the confidence when another place would do as well

# How much speaks for one thing rather than another, next to 1 for its whole name; found by trial on Porto's addresses.
_UNSAID_COUNTS, _UNSAID_DOUBTS = 0.8, 0.5
_NEAR_COUNTS = 0.15
_HOUSE_COUNTS = 0.1
_NOT_A_STREET = 0.1

_WEIGHTS_KEPT = 50_000
_COLUMNS = "id, kind, name, words, context, context_words, postcodes, lat, lon"


@dataclass(frozen=True, slots=True)
class Found:
    """Where an address is, as far as the gazetteer knows."""

    latitude: float
    longitude: float
    kind: FoundKind
    confidence: float
    """0 to 1: how much of what was asked was found, less where several places would do."""
    name: str
    """What was found, written out."""


@dataclass(frozen=True, slots=True)
class _Thing:
    id: int
    kind: str
    name: str
    words: str
    context: str
    context_words: str
    postcodes: str
    at: Point


@dataclass(frozen=True, slots=True)
class _Meant:
    """A word of the gazetteer that a word of the question may be."""

    said: str
    likeness: float
    """1 for the same, less for each letter that differs."""
    weight: float
    """How much it tells: the rarer, the more."""


@dataclass(frozen=True, slots=True)
class _Scored:
    score: float
    found: Found


class Gazetteer:
    """A gazetteer file. May be asked from several threads.

    Raises
    ------
    BadSettings
        If the file is missing or no gazetteer of this release.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise BadSettings(f"there is no gazetteer {path}; make one with `outrider gazetteer build`")
        self._lock = threading.Lock()
        try:
            self._file = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False)
            meta = dict(self._file.execute("SELECT key, value FROM meta"))
        except sqlite3.Error as fault:
            raise BadSettings(f"{path} is no gazetteer: {fault}") from fault
        if meta.get("schema") != str(SCHEMA_VERSION):
            raise BadSettings(f"{path} is a gazetteer of another release; make it anew with `outrider gazetteer build`")
        self._things = max(2, int(meta["things"]))
        self._common = self._weight(max(_COMMON_LEAST, math.ceil(_COMMON_SHARE * self._things)))
        self._weights: dict[str, float] = {}

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._file.close()

    def find(self, address: str, near: Point | None = None) -> Found | None:
        """Return the best answer to an address, or None if no street and no place is like it.

        Parameters
        ----------
        near
            Where to look first when the address names no town, (latitude, longitude).
        """
        question = read_question(address)
        with self._lock:
            answers = self._answers(question, near)
        best = max(answers, key=lambda one: one.score, default=None)
        if best is None or best.found.confidence < _WORTHLESS:
            return None
        rivals = [one for one in answers if one.score > best.score - _TIE and _apart_m(one.found, best.found) > _SURE_M]
        confidence = best.found.confidence * (_RIVALRY if rivals else 1.0)
        found = best.found
        return Found(found.latitude, found.longitude, found.kind, round(confidence, 3), found.name)

    def _answers(self, question: Question, near: Point | None) -> list[_Scored]:
        meant = self._meant(question.words)
        anchors = self._anchors(question) or ([near] if near else [])
        told = {word: self._told(word, meant) for word in question.words}
        candidates = self._candidates(meant)
        scored = [self._score(thing, question, meant, told, anchors) for thing in candidates]
        answers = [one for one in scored if one is not None]
        if not answers and question.postcode is not None:
            answers = list(self._by_postcode(question.postcode))
        return answers

    def _meant(self, words: Sequence[str]) -> dict[str, _Meant]:
        """Return the words of the gazetteer that were said, or nearly."""
        meant: dict[str, _Meant] = {}
        for word in dict.fromkeys(words):
            exact = self._file.execute("SELECT things FROM words WHERE word = ?", (word,)).fetchone()
            if exact is not None:
                meant[word] = _Meant(word, 1.0, self._weight(exact[0]))
                continue
            for other, likeness, things in self._like(word):
                if other not in meant or meant[other].likeness < likeness:
                    meant[other] = _Meant(word, likeness, self._weight(things))
        return meant

    def _like(self, word: str) -> Iterator[tuple[str, float, int]]:
        if is_number(word) or len(word) < SHORTEST_WITH_TYPOS:
            return
        keys = list(shortened(word))
        marks = ",".join("?" * len(keys))
        query = f"SELECT DISTINCT words.word, things FROM typos JOIN words USING (word) WHERE key IN ({marks})"  # noqa: S608  # marks alone
        most = 2 if len(word) >= _LONG_WORD else 1
        for other, things in self._file.execute(query, keys):
            if (edits := edits_apart(word, other, most)) <= most:
                yield other, 1.0 - _EDIT_COST * edits, things

    def _anchors(self, question: Question) -> list[Point]:
        """Return where the towns lie that the question names, and its postal code."""
        points: list[Point] = []
        if question.postcode is not None:
            points += self._file.execute("SELECT lat, lon FROM postcodes WHERE code = ?", (question.postcode,))
        words = question.words
        names = {
            " ".join(words[first:last])
            for first in range(len(words))
            for last in range(first + 1, min(first + _LONGEST_TOWN, len(words)) + 1)
        }
        marks = ",".join("?" * len(names))
        query = f"SELECT lat, lon FROM towns WHERE words IN ({marks})"  # noqa: S608  # marks alone
        return points + self._file.execute(query, list(names)).fetchall()

    def _candidates(self, meant: Mapping[str, _Meant]) -> list[_Thing]:
        """Return the things that share the rarest words with the question."""
        weights: dict[int, float] = defaultdict(float)
        telling = [word for word, one in meant.items() if one.weight >= self._common]
        marks = ",".join("?" * len(telling))
        query = f"SELECT word, thing FROM postings WHERE word IN ({marks})"  # noqa: S608  # marks alone
        for word, thing in self._file.execute(query, telling):
            weights[thing] += meant[word].likeness * meant[word].weight
        best = heapq.nlargest(_MOST_CANDIDATES, weights, key=weights.__getitem__)
        marks = ",".join("?" * len(best))
        query = f"SELECT {_COLUMNS} FROM things WHERE id IN ({marks})"  # noqa: S608  # marks alone
        return [
            _Thing(number, kind, name, words, context, within, postcodes, (lat, lon))
            for number, kind, name, words, context, within, postcodes, lat, lon in self._file.execute(query, best)
        ]

    def _weight(self, things: int) -> float:
        return max(_LEAST_WEIGHT, math.log(self._things / things))

    def _told(self, word: str, meant: Mapping[str, _Meant]) -> float:
        """Return how much a word that was said tells; one that is not in the gazetteer as much as a rare one."""
        weights = [one.weight for one in meant.values() if one.said == word]
        return max(weights, default=self._weight(_RARE))

    def _score(
        self,
        thing: _Thing,
        question: Question,
        meant: Mapping[str, _Meant],
        told: Mapping[str, float],
        anchors: Sequence[Point],
    ) -> _Scored | None:
        named = thing.words.split()
        weights = {word: meant[word].weight if word in meant else self._weight_of(word) for word in named}
        covered = sum(weights[word] * meant[word].likeness for word in weights if word in meant)
        if not weights or (name_part := covered / sum(weights.values())) < _LEAST_NAMED:
            return None
        used = {meant[word].said for word in named if word in meant}
        if all(is_number(word) for word in used):
            return None  # a number alone names no street
        within = thing.context_words.split()
        left = [word for word in question.words if word not in used and word not in within]
        number, unused = _house_number(left, question.words, used)
        unsaid = sum(told[word] for word in unused) / (sum(told.values()) or 1.0)
        house = self._house(thing, number) if number is not None and thing.kind == "street" else None
        score = name_part * (1.0 - _UNSAID_COUNTS * unsaid) + _postcode_bonus(question.postcode, thing.postcodes)
        score += _NEAR_COUNTS * _nearness(house[0] if house else thing.at, anchors)
        if number is not None:
            score += (_HOUSE_COUNTS if house and house[1] else 0.0) - (_NOT_A_STREET if thing.kind != "street" else 0.0)
        return _Scored(score, _shown(thing, name_part * (1.0 - _UNSAID_DOUBTS * unsaid), house, number))

    def _weight_of(self, word: str) -> float:
        if (weight := self._weights.get(word)) is None:
            row = self._file.execute("SELECT things FROM words WHERE word = ?", (word,)).fetchone()
            if len(self._weights) > _WEIGHTS_KEPT:
                self._weights.clear()
            weight = self._weights[word] = self._weight(row[0] if row else 1)
        return weight

    def _house(self, thing: _Thing, number: str) -> tuple[Point, bool] | None:
        """Return where a house of a street is and whether exactly this one is known; None if no house is."""
        digits = int("".join(one for one in number if one.isdigit()))
        suffix = "".join(one for one in number if not one.isdigit())
        rows = self._file.execute("SELECT number, suffix, lat, lon FROM houses WHERE thing = ?", (thing.id,)).fetchall()
        if not rows:
            return None
        same_side = [row for row in rows if row[0] % 2 == digits % 2] or rows
        nearest = min(same_side, key=lambda row: (abs(row[0] - digits), row[1] != suffix))
        if nearest[0] == digits:
            return (nearest[2], nearest[3]), True
        below = max((row for row in same_side if row[0] < digits), default=None, key=lambda row: row[0])
        above = min((row for row in same_side if row[0] > digits), default=None, key=lambda row: row[0])
        if below is None or above is None:
            return (nearest[2], nearest[3]), False
        share = (digits - below[0]) / (above[0] - below[0])
        return (below[2] + (above[2] - below[2]) * share, below[3] + (above[3] - below[3]) * share), False

    def _by_postcode(self, code: str) -> Iterator[_Scored]:
        for lat, lon in self._file.execute("SELECT lat, lon FROM postcodes WHERE code = ?", (code,)):
            yield _Scored(0.5, Found(lat, lon, "place", 0.5, code))


def _house_number(left: Sequence[str], words: Sequence[str], used: set[str]) -> tuple[str | None, list[str]]:
    """Return the house number among what is left, and what is left then.

    It follows the name of the street, or comes before it; further numbers (a floor, a door) go too.
    """
    numbers = [word for word in left if is_number(word)]
    if not numbers:
        return None, list(left)
    last = max((place for place, word in enumerate(words) if word in used), default=-1)
    after = [word for word in numbers if words.index(word) > last]
    return (after or numbers)[0], [word for word in left if not is_number(word) and len(word) > 1]


def _shown(thing: _Thing, confidence: float, house: tuple[Point, bool] | None, number: str | None) -> Found:
    (lat, lon), exact = house or (thing.at, False)
    kind: FoundKind = "house" if exact else "street" if thing.kind == "street" else "place"
    where = " ".join(part for part in (thing.postcodes.partition(" ")[0], thing.context.rpartition("; ")[2]) if part)
    name = f"{thing.name} {number}" if exact else thing.name
    return Found(round(lat, 6), round(lon, 6), kind, min(1.0, confidence), f"{name}, {where}" if where else name)


def _nearness(at: Point, anchors: Sequence[Point]) -> float:
    return max((math.exp(-distance_m(at, anchor) / _TOWN_REACH_M) for anchor in anchors), default=0.0)


def _postcode_bonus(asked: str | None, known: str) -> float:
    if asked is None or not known:
        return 0.0
    if asked in known.split():
        return 0.15
    return 0.05 if any(code[:4] == asked[:4] for code in known.split()) else -0.1


def _apart_m(one: Found, other: Found) -> float:
    return distance_m((one.latitude, one.longitude), (other.latitude, other.longitude))
