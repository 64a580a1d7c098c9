"""Trimming the log: only what a snapshot and history both hold, and only by the partition's owner."""

from redis.asyncio import Redis

from engine.partitions.epochs import run_script
from models.messages.log import entry_id, stream_key

__all__ = ["trim"]

_TRIM = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -1 end
return redis.call('XTRIM', KEYS[2], 'MINID', '~', ARGV[3])
"""


async def trim(redis: "Redis", prefix: str, partition: int, *, epoch: int, before: int) -> bool:
    """Drop entries older than the position `before`; tell whether this epoch still may.

    The server drops whole nodes of its tree, so a few older entries stay: cheap, and harmless to replay.
    """
    keys = [f"{prefix}:epochs", stream_key(prefix, partition)]
    return bool(await run_script(redis, _TRIM, keys, [partition, epoch, entry_id(before)]) != -1)
