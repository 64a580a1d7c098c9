"""Ranges of bytes, as RFC 9110 reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.ranges import wanted_range
from models.errors import UnknownRange


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-99", (5, 10)),
        ("bytes=-", None),
        ("bytes=3-1", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
    ],
)
def test_a_range_of_ten_bytes(header, part):
    assert wanted_range(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_nothing_of_it_is_there(header):
    with pytest.raises(UnknownRange):
        wanted_range(header, 10)


@given(header=st.from_regex(r"bytes=\d{0,15}-\d{0,15}", fullmatch=True), size=st.integers(1, 10**7))
def test_a_part_lies_within(header, size):
    try:
        part = wanted_range(header, size)
    except UnknownRange:
        return
    assert part is None or 0 <= part[0] < part[1] <= size
