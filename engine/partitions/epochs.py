"""Epochs: who may write for a partition.

An owner takes a partition by raising its epoch in Redis. From then on every write of the owner before it is refused:
progress and trimming by a script that compares epochs, snapshots by a filter in MongoDB. A shard that was presumed
dead and wakes up again can therefore change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from redis.asyncio import Redis

from models.errors import Fenced

__all__ = ["Progress", "commit_progress", "read_epochs", "run_script", "take_partition"]

_TAKE = """
local current = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if current ~= tonumber(ARGV[4]) then return -current end
local epoch = math.max(current, tonumber(ARGV[2])) + 1
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', epoch))
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
return epoch
"""

# Positions pass through as strings: a Lua number would round them to 53 bits.
_COMMIT = """
for i = 2, #ARGV, 4 do
  local epoch = redis.call('HGET', KEYS[1], ARGV[i])
  if epoch ~= ARGV[i + 1] then return {tonumber(ARGV[i]), tonumber(ARGV[i + 1]), tonumber(epoch or '0')} end
end
for i = 2, #ARGV, 4 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2])
  redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 3])
end
redis.call('PUBLISH', KEYS[4], ARGV[1])
return {}
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an owner is with its partition."""

    epoch: int
    processed: int
    """Position up to which the live state holds everything."""
    durable: int
    """Position up to which history holds everything."""


async def run_script(redis: "Redis", script: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
    """Run a Lua script; the client sends its hash and falls back to the text when the server has forgotten it."""
    return await redis.register_script(script)(keys=list(keys), args=list(arguments))


async def take_partition(redis: "Redis", prefix: str, partition: int, *, shard: int, expected: int, above: int) -> int:
    """Make `shard` the owner of a partition and return its epoch, greater than all before and than `above`.

    Parameters
    ----------
    expected
        Epoch at which the supervisor ordered this, 0 for none yet. An order that lay about while somebody else took
        the partition is void.
    above
        Epoch of the partition's snapshot: it keeps epochs rising even if Redis came back without its data.

    Raises
    ------
    Fenced
        If the epoch is no longer the expected one.
    """
    keys = [f"{prefix}:epochs", f"{prefix}:owners"]
    epoch = int(await run_script(redis, _TAKE, keys, [partition, above, shard, expected]))
    if epoch <= 0:
        raise Fenced(partition, expected, -epoch)
    return epoch


async def read_epochs(redis: "Redis", prefix: str) -> dict[int, int]:
    """Return the current epoch of every partition that ever had an owner."""
    raw: Mapping[bytes, bytes] = await redis.hgetall(f"{prefix}:epochs")  # type: ignore[misc]  # sync and async in one
    return {int(partition): int(epoch) for partition, epoch in raw.items()}


async def commit_progress(redis: "Redis", prefix: str, progress: Mapping[int, Progress]) -> None:
    """Write processed and durable positions and tell the doors, all or nothing.

    Raises
    ------
    Fenced
        If one of the partitions has a newer owner; nothing was written then.
    """
    payload = msgspec.msgpack.encode({p: (state.processed, state.durable) for p, state in progress.items()})
    arguments: list[Any] = [payload]
    for partition, state in progress.items():
        arguments += [partition, state.epoch, state.processed, state.durable]
    keys = [f"{prefix}:epochs", f"{prefix}:processed", f"{prefix}:durable", f"{prefix}:progress"]
    refused = await run_script(redis, _COMMIT, keys, arguments)
    if refused:
        raise Fenced(int(refused[0]), int(refused[1]), int(refused[2]))
