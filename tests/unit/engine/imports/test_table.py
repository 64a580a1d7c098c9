"""Files of deliveries, read as people and spreadsheets write them, and written so that they come back the same."""

import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.routers.deliveries import DeliveryFields, NewDelivery
from api.routers.delivery_files import _EXPORTED, _OURS, _as_csv, _as_json
from engine.imports.table import columns_of, csv_header, decode_table, read_csv, read_lines
from models.documents.delivery import Customer, Delivery, Place, TimeWindow
from models.errors import InvalidInput, Malformed

COLUMNS = columns_of(NewDelivery)

_moments = st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2040, 1, 1)).map(  # noqa: DTZ001  # made UTC below
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=datetime.UTC)
)
_hard = st.sampled_from(["=1+1", "+351", "-5", "@x", "'", "'=x", "''", '="7"', "a,b;c\td", 'say "hi"', "1,5", "ü 北京"])
_lines = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20) | _hard
_texts = _lines | st.sampled_from(["two\nlines", "two\r\nlines", "a\tb"])
_places = st.builds(
    Place,
    address=_texts,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    radius_m=st.none() | st.floats(10, 5000),
) | st.builds(Place, address=_texts)
_windows = st.tuples(_moments, st.integers(1, 10**9)).map(
    lambda pair: TimeWindow(start=pair[0], end=pair[0] + datetime.timedelta(milliseconds=pair[1]))
)
_said = {
    "dropoff": _places,
    "pickup": st.none() | _places,
    "reference": st.none() | _lines.filter(lambda text: "\t" not in text),
    "customer": st.builds(Customer, name=st.none() | _lines.filter(lambda text: "\t" not in text)),
    "weight_kg": st.none() | st.floats(0, 100_000),
    "volume_m3": st.none() | st.floats(0, 1000),
    "pieces": st.none() | st.integers(0, 1000),
    "skills": st.lists(st.sampled_from(["cold", "tail-lift", "two people"]), unique=True).map(tuple),
    "priority": st.sampled_from(["low", "normal", "high", "urgent"]),
    "time_window": st.none() | _windows,
    "service_time_s": st.integers(0, 86_400),
    "notes": st.none() | _texts,
}
deliveries = st.builds(
    Delivery,
    id=st.just("dlv_1"),
    tenant=st.just("ten_1"),
    driver=st.none() | st.just("drv_1"),
    **{n: _said[n] for n in _said},
)


def what_is_said(delivery):
    return {name: getattr(delivery, name) for name in DeliveryFields.model_fields}


def read(rows):
    found = []
    for row in rows:
        assert row.fault is None
        taken = NewDelivery.model_validate(row.fields)
        found.append(({name: getattr(taken, name) for name in DeliveryFields.model_fields}, taken.driver_id))
    return found


@given(st.lists(deliveries, min_size=1, max_size=4))
def test_an_export_comes_back_as_it_was(given_ones):
    wanted = [(what_is_said(one), one.driver) for one in given_ones]
    table = csv_header(_EXPORTED) + "".join(_as_csv(one) for one in given_ones)
    assert read(read_csv(table, COLUMNS, ignored=_OURS)) == wanted
    assert read(read_lines("".join(_as_json(one) for one in given_ones), ignored=_OURS)) == wanted


@given(_texts)
def test_no_cell_of_text_begins_like_a_formula(text):
    delivery = Delivery(id="dlv_1", tenant="ten_1", dropoff=Place(address=text), notes=text)
    line = next(iter(read_csv_cells(csv_header(_EXPORTED) + _as_csv(delivery))))
    assert not any(cell[:1] in ("=", "+", "@") for cell in line)


def read_csv_cells(table):
    import csv
    import io

    rows = csv.reader(io.StringIO(table, newline=""))
    next(rows)
    return rows


def one(table, **options):
    [row] = read_csv(table, COLUMNS, **options)
    return row.fields


@pytest.mark.parametrize(
    "heading",
    ["dropoff.address,serviceTimeS", "dropoff_address,service_time_s", "Dropoff Address , SERVICE TIME S"],
)
def test_headings_are_taken_however_their_words_are_joined(heading):
    assert one(f"{heading}\nRua das Flores 1,60\n") == {
        "dropoff": {"address": "Rua das Flores 1"},
        "serviceTimeS": "60",
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(delimiter):
    table = f"dropoff.latitude{delimiter}dropoff.longitude\r\n41.15{delimiter}-8.61\r\n"
    assert one(table) == {"dropoff": {"latitude": "41.15", "longitude": "-8.61"}}


def test_what_spreadsheets_do_is_undone():
    heading = "sep=;\r\ndropoff.latitude;dropoff.longitude;reference;notes;;\r\n"
    table = heading + '41,15;-8,61;"=""00123""";\'+351 912;;\r\n;;;;;\r\n'
    assert one(table) == {
        "dropoff": {"latitude": "41.15", "longitude": "-8.61"},
        "reference": "00123",
        "notes": "+351 912",
    }


def test_rows_are_counted_as_a_spreadsheet_counts_them():
    table = 'dropoff.address\n"two\nlines"\n\nlast\n'
    assert [row.row for row in read_csv(table, COLUMNS)] == [2, 4]


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"\xef\xbb\xbfnotes\nS\xc3\xa3o\n", None),
        ("notes\nSão\n".encode("utf-16"), None),
        ("notes\nSão\n".encode("cp1252"), "windows-1252"),
    ],
)
def test_a_byte_order_mark_or_a_charset_is_heeded(body, charset):
    assert one(decode_table(body, charset)) == {"notes": "São"}


@pytest.mark.parametrize(("body", "charset"), [(b"S\xe3o", None), (b"x", "utf-7"), (b"\xff\xfex", None)])
def test_what_is_not_text_is_malformed(body, charset):
    with pytest.raises(Malformed):
        decode_table(body, charset)


@pytest.mark.parametrize(
    ("table", "field"),
    [
        ("", ""),
        ("\n\n", ""),
        ("colour\nred\n", "colour"),
        ("notes,dropoff.address,Notes\na,b,c\n", "notes"),
    ],
)
def test_a_heading_that_can_not_be_is_named(table, field):
    with pytest.raises(InvalidInput) as refused:
        list(read_csv(table, COLUMNS))
    assert field in [name for name, _ in refused.value.fields]


def test_unknown_columns_are_passed_over_when_asked():
    assert one("colour,notes\nred,x\n", ignore_unknown=True) == {"notes": "x"}


@pytest.mark.parametrize("table", ['notes\n"open\n', 'notes\n"a"b\n'])
def test_a_broken_quote_is_malformed(table):
    with pytest.raises(Malformed):
        list(read_csv(table, COLUMNS))


def test_a_row_that_is_too_long_is_a_fault_of_that_row():
    [row] = read_csv("notes\na,b\n", COLUMNS)
    assert row.fault == "there are 2 cells and 1 headings"


def test_a_broken_line_of_json_is_a_fault_of_that_line():
    deep = "[" * 5000
    faults = [row.fault for row in read_lines(f'{{"notes": 1}}\n\nnope\n[1]\n{deep}\n')]
    assert [fault is None for fault in faults] == [True, False, False, False]


def test_lines_of_an_export_are_json():
    delivery = Delivery(id="dlv_1", tenant="ten_1", dropoff=Place(address="a"))
    assert msgspec.json.decode(_as_json(delivery))["id"] == "dlv_1"
