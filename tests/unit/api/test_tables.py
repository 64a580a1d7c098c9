"""Tables as CSV."""

from api.tables import csv_of, wants_csv
from models.documents.document import Shape


class Inner(Shape):
    on_time: int
    rate: float | None


class Row(Shape):
    name: str
    punctuality: Inner


def test_columns_are_the_paths_of_the_fields():
    rows = [Row(name="Ana", punctuality=Inner(on_time=3, rate=None))]
    assert csv_of(rows) == "name,punctuality.onTime,punctuality.rate\r\nAna,3,\r\n"


def test_a_name_is_never_a_formula():
    assert "'=HYPERLINK" in csv_of([Row(name='=HYPERLINK("x")', punctuality=Inner(on_time=0, rate=0.5))])


def test_csv_is_for_those_who_ask_for_it():
    assert wants_csv("text/csv; charset=utf-8, */*;q=0.1")
    assert not wants_csv("application/json")
    assert not wants_csv("*/*")
