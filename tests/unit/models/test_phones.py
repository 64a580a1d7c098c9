"""Phone numbers are found however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.phones import normal_phone


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("+351 912 345 678", None),
        ("+351912345678", "DE"),
        ("00351912345678", None),
        ("00351 912-345-678", "US"),
        ("(+351) 912.345.678", None),
        ("912 345 678", "PT"),
    ],
)
def test_all_ways_to_write_a_number_are_one(written, country):
    assert normal_phone(written, country) == "+351912345678"


def test_a_number_without_a_country_depends_on_where_it_is_dialled():
    assert normal_phone("030 123456", "DE") == "+4930123456"
    assert normal_phone("030 123456", None) == "030123456"


@given(st.from_regex(r"^\+?[0-9 ()./-]{3,40}$", fullmatch=True), st.sampled_from([None, "PT", "US", "CN"]))
def test_every_number_that_a_delivery_takes_has_one_form(written, country):
    assert normal_phone(written, country) == normal_phone(f" {written} ", country)
