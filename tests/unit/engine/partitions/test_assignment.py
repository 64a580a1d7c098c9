"""Partitions are shared out evenly and move as little as that allows."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from engine.partitions.assignment import assign_partitions, grant_partitions

shards = st.sets(st.integers(0, 20), max_size=8)


@given(partitions=st.integers(1, 80), before=shards, after=shards)
def test_assignment_is_complete_even_and_stable(partitions: int, before: set[int], after: set[int]) -> None:
    first = assign_partitions(partitions, before)
    second = assign_partitions(partitions, after, first)
    if not after:
        assert second == {}
        return
    assert sorted(second) == list(range(partitions))
    load = Counter(dict.fromkeys(after, 0))
    load.update(second.values())
    assert set(load) == after
    assert max(load.values()) - min(load.values()) <= 1
    moved = [p for p, shard in second.items() if first.get(p) in after and first[p] != shard]
    if after <= before:
        assert moved == []
    assert assign_partitions(partitions, after, second) == second


@given(partitions=st.integers(1, 40), before=shards, after=shards)
def test_no_partition_is_granted_while_another_shard_holds_it(
    partitions: int, before: set[int], after: set[int]
) -> None:
    held_by = assign_partitions(partitions, before)
    held = {shard: [p for p, owner in held_by.items() if owner == shard] for shard in before}
    grants = grant_partitions(assign_partitions(partitions, after, held_by), held)
    for shard, granted in grants.items():
        for partition in granted:
            assert held_by.get(partition, shard) == shard
    assert not set(grants) - before - after


def test_a_new_shard_takes_only_its_share() -> None:
    first = assign_partitions(64, [0, 1, 2])
    second = assign_partitions(64, [0, 1, 2, 3], first)
    assert sum(first[partition] != second[partition] for partition in range(64)) == 16
