"""A shard process is killed: its partitions are taken from the snapshot and the log."""

from collections.abc import Awaitable, Callable

import pytest

from bench.chaos import Fault, FaultReport
from tests.chaos.conftest import assert_nothing_lost

pytestmark = pytest.mark.chaos


async def test_a_killed_shard_loses_nothing_and_counts_nothing_twice(
    endure: Callable[[Fault], Awaitable[FaultReport]],
) -> None:
    assert_nothing_lost(await endure("shard"))
