"""Blocks of all partitions as one batch, and event messages in their place."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.log.read import Entry, assemble, split_rounds
from models.messages.fixes import FIX
from tests.builders import a_fix

entries = st.lists(st.booleans(), max_size=8).map(
    lambda kinds: [Entry(place + 1, b"", is_fixes) for place, is_fixes in enumerate(kinds)]
)


def block(position: int, *drivers: int) -> Entry:
    return Entry(position, np.stack([a_fix(driver=driver) for driver in drivers]).astype(FIX).tobytes(), True)


def test_batch_keeps_log_order_and_says_where_each_fix_was() -> None:
    at = 1_750_000_000_123
    batch = assemble({5: [block(at << 20, 1, 2), block(at << 20 | 7, 1)], 9: [block((at + 1) << 20, 3)]})
    assert batch.fixes["driver"].tolist() == [1, 2, 1, 3]
    assert batch.positions.tolist() == [at << 20, at << 20, at << 20 | 7, (at + 1) << 20]
    assert batch.received.tolist() == [at, at, at, at + 1]
    assert [(b.partition, b.start, b.stop) for b in batch.blocks] == [(5, 0, 3), (9, 3, 4)]
    kept = batch.where(np.array([False, True, True, False]))
    assert [(b.partition, b.start, b.stop) for b in kept.blocks] == [(5, 0, 2), (9, 2, 2)]


def test_entry_that_holds_no_whole_fixes_is_left_out() -> None:
    assert assemble({1: [Entry(1, b"broken", True), block(2, 4)]}).fixes["driver"].tolist() == [4]
    assert assemble({}).fixes.size == 0


@given(st.dictionaries(st.integers(0, 3), entries, max_size=3))
def test_rounds_keep_the_order_of_every_partition(turn: dict[int, list[Entry]]) -> None:
    seen: dict[int, list[Entry]] = {partition: [] for partition in turn}
    for fixes, messages in split_rounds(turn):
        for partition, items in fixes.items():
            seen[partition] += items
        for partition, entry in messages:
            seen[partition].append(entry)
    assert seen == turn
