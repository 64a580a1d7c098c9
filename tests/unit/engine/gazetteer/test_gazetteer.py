"""Addresses as people write them, in a gazetteer of a few streets and in that of Porto which comes along."""

import contextlib
import random
import sqlite3
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gazetteer import PORTO
from engine.gazetteer.build import Gathered, House, distance_m, write_gazetteer
from engine.gazetteer.look_up import Gazetteer
from engine.gazetteer.words import edits_apart, read_question, shortened, words_of
from models.errors import BadSettings

PORTO_CENTRE, FAR_TOWN = (41.1496, -8.6110), (41.30, -8.40)


def a_line(at, length_m=400):
    return [at, (at[0] + length_m / 111_195, at[1])]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a gazetteer of two towns, each with a church street, and one street with houses."""
    gathered = Gathered()
    gathered.places += [("city", "Porto", PORTO_CENTRE), ("town", "Longe", FAR_TOWN)]
    gathered.ways["Rua da Igreja"] += [(a_line(PORTO_CENTRE), None), (a_line(FAR_TOWN), "4700-001")]
    gathered.ways["Rua do Doutor António Luís Gomes"].append((a_line((41.1450, -8.6000)), "4000-010"))
    gathered.ways["Travessa da Igreja"].append((a_line((41.1500, -8.6200)), None))
    gathered.ways["Rua 25 de Abril"].append((a_line((41.1600, -8.6000)), None))
    gathered.ways["Hauptstraße"].append((a_line((41.1700, -8.6000)), None))
    gathered.houses += [
        House("Rua 25 de Abril", ((number, ""),), (41.1600 + number / 100_000, -8.6001), "Porto", "4000-020")
        for number in (10, 20, 11, 21)
    ]
    with contextlib.closing(
        Gazetteer(write_gazetteer(gathered, tmp_path_factory.mktemp("gazetteer") / "small.sqlite").path)
    ) as file:
        yield file


@pytest.fixture(scope="module")
def porto():
    with contextlib.closing(Gazetteer(PORTO)) as file:
        yield file


@pytest.mark.parametrize(
    "written",
    [
        "Rua do Doutor António Luís Gomes, Porto",
        "R. Dr. Antonio Luis Gomes",
        "RUA DR ANTÓNIO LUIZ GOMES",
        "rua doutor antonio luis gomez, 3º Esq, 4000-010 Porto, Portugal",
    ],
)
def test_a_street_is_found_however_it_is_written(small, written):
    found = small.find(written)
    assert (found.kind, found.name.partition(",")[0]) == ("street", "Rua do Doutor António Luís Gomes")
    assert found.confidence > 0.75


@pytest.mark.parametrize(
    ("written", "kind", "latitude"),
    [
        ("Rua 25 de Abril 20, Porto", "house", 41.1602),
        ("R. 25 de Abril nº 21 2º dto", "house", 41.16021),
        ("20 Rua 25 de Abril", "house", 41.1602),
        ("Rua 25 de Abril, 14", "street", 41.16014),
        ("Rua 25 de Abril, 200", "street", 41.1602),
    ],
)
def test_a_house_is_found_or_its_place_between_others_of_its_side(small, written, kind, latitude):
    found = small.find(written)
    assert (found.kind, found.latitude) == (kind, pytest.approx(latitude, abs=2e-6))


def test_the_town_decides_between_streets_of_one_name(small):
    assert small.find("Rua da Igreja, Porto").latitude == pytest.approx(PORTO_CENTRE[0], abs=0.01)
    assert small.find("R. da Igreja 5, Longe").latitude == pytest.approx(FAR_TOWN[0], abs=0.01)
    assert small.find("R. da Igreja, 4700-001").latitude == pytest.approx(FAR_TOWN[0], abs=0.01)
    assert small.find("Rua da Igreja", near=FAR_TOWN).latitude == pytest.approx(FAR_TOWN[0], abs=0.01)


def test_without_a_town_nobody_is_sure_which_of_two_it_is(small):
    assert small.find("Rua da Igreja").confidence <= 0.5
    assert small.find("Rua da Igreja, Porto").confidence > 0.8


def test_a_lane_is_not_its_street(small):
    assert small.find("Travessa da Igreja").name.startswith("Travessa")


def test_a_compound_street_is_found_by_its_abbreviation(small):
    assert small.find("Hauptstr. 7").name.startswith("Hauptstraße")


@pytest.mark.parametrize("written", ["Avenue des Champs-Élysées 1, Paris", "", "1234", "!?"])
def test_what_nobody_knows_is_not_found(small, written):
    assert small.find(written) is None


def test_a_postal_code_alone_is_better_than_nothing(small):
    found = small.find("Edifício Novo, 4700-001")
    assert found.latitude == pytest.approx(FAR_TOWN[0], abs=0.01)
    assert found.confidence <= 0.5


@given(text=st.text(max_size=200))
def test_no_text_breaks_a_look_up(porto, text):
    found = porto.find(text)
    assert found is None or 0 <= found.confidence <= 1


@given(st.text("abc", min_size=1, max_size=8), st.integers(0, 7), st.sampled_from("abcd"))
def test_a_word_with_a_letter_wrong_shares_a_key_with_the_right_one(word, place, letter):
    wrong = word[: place % len(word)] + letter + word[place % len(word) + 1 :]
    assert set(shortened(word)) & set(shortened(wrong))
    assert edits_apart(word, wrong, 2) <= 1


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edits_are_the_same_both_ways(one, other):
    assert edits_apart(one, other, 3) == edits_apart(other, one, 3)
    assert (edits_apart(one, other, 3) == 0) == (one == other)


def test_spellings_of_a_name_are_filed_under_the_same_words():
    assert words_of("Rua de São João") == words_of("R. S. Joao") == ("rua", "s", "joao")
    assert words_of("Königstraße") == ("konigstrasse",)
    question = read_question("Rua X 12, 2º Esq, 4000-123 Porto")
    assert (question.postcode, question.words) == ("4000-123", ("rua", "x", "12", "porto"))


def test_most_of_portos_houses_are_found_as_people_write_them(porto):
    """A hundred houses of the file, each with a letter missing and an abbreviation, without accents."""
    chance = random.Random(7)
    with contextlib.closing(sqlite3.connect(PORTO)) as file:
        rows = file.execute(
            "SELECT things.name, number, suffix, houses.lat, houses.lon FROM houses JOIN things ON things.id = thing"
            " WHERE context LIKE '%Porto%'"
        ).fetchall()
    near = 0
    for name, number, suffix, lat, lon in chance.sample(rows, 100):
        plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
        place = chance.randrange(len(plain) - 3, len(plain))
        written = f"{plain[:place]}{plain[place + 1 :]}, nº {number}{suffix}, Porto".replace("Rua ", "R. ")
        found = porto.find(written)
        near += found is not None and distance_m((lat, lon), (found.latitude, found.longitude)) <= 100
    assert near >= 90


def test_what_is_no_gazetteer_is_said_so(tmp_path):
    (tmp_path / "x.sqlite").write_bytes(b"nothing of the kind")
    for path in (tmp_path / "x.sqlite", tmp_path / "absent.sqlite"):
        with pytest.raises(BadSettings):
            Gazetteer(path)
    with pytest.raises(BadSettings):
        write_gazetteer(Gathered(), tmp_path / "empty.sqlite")
