"""Partitions stay where they are; log positions sort like entries."""

from hypothesis import given
from hypothesis import strategies as st

from models.ids import new_id
from models.messages.log import entry_id, entry_position, partition_of


def test_a_driver_keeps_its_partition_for_ever():
    """The hash is part of the stored data: a change of it would orphan every log and snapshot."""
    assert partition_of("tnt_a", "drv_a", 64) == 42
    assert partition_of("tnt_a", "drv_b", 64) == 61


@given(st.integers(0, 2**42), st.integers(0, 2**20 - 1))
def test_positions_and_entry_ids_are_one_to_one(milliseconds, counter):
    assert entry_id(entry_position(f"{milliseconds}-{counter}")) == f"{milliseconds}-{counter}"


@given(st.tuples(st.integers(0, 2**42), st.integers(0, 999)), st.tuples(st.integers(0, 2**42), st.integers(0, 999)))
def test_positions_sort_like_entries(first, second):
    earlier, later = (entry_position(f"{ms}-{n}") for ms, n in sorted([first, second]))
    assert earlier <= later


def test_identifiers_made_later_sort_later():
    made = [new_id("drv") for _ in range(1000)]
    assert made == sorted(made)
    assert len(set(made)) == 1000
