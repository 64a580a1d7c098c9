"""Which shard owns which partition: balanced, and with as few moves as balance allows. Pure."""

from collections.abc import Iterable, Mapping

__all__ = ["assign_partitions", "grant_partitions"]


def assign_partitions(
    partitions: int, shards: Iterable[int], current: Mapping[int, int] | None = None
) -> dict[int, int]:
    """Give every partition to a shard.

    Parameters
    ----------
    partitions
        Their number; they are 0, 1, ….
    shards
        Shards that take part.
    current
        Partition to shard as it is now. Shards that no longer take part lose theirs.

    Returns
    -------
    dict
        Partition to shard. Shares differ by one at most, and a partition moves only if its shard is gone or holds
        more than its share. Empty without shards.
    """
    members = sorted(set(shards))
    if not members:
        return {}
    held: dict[int, list[int]] = {shard: [] for shard in members}
    homeless: list[int] = []
    for partition in range(partitions):
        owner = (current or {}).get(partition)
        held[owner].append(partition) if owner in held else homeless.append(partition)
    base, extra = divmod(partitions, len(members))
    # the larger shares go to those who hold most already: that saves a move each
    by_load = sorted(members, key=lambda shard: (-len(held[shard]), shard))
    share = {shard: base + (place < extra) for place, shard in enumerate(by_load)}
    for shard in members:
        homeless += held[shard][share[shard] :]
        del held[shard][share[shard] :]
    homeless.sort(reverse=True)
    for shard in members:
        while len(held[shard]) < share[shard]:
            held[shard].append(homeless.pop())
    return {partition: shard for shard, owned in held.items() for partition in owned}


def grant_partitions(wanted: Mapping[int, int], held: Mapping[int, Iterable[int]]) -> dict[int, list[int]]:
    """Return what each shard may hold now: its wanted partitions, less those that another shard still has to give up.

    Parameters
    ----------
    wanted
        Partition to shard, from `assign_partitions`.
    held
        Shard to the partitions it said it holds when it was last heard.
    """
    holder = {partition: shard for shard, partitions in held.items() for partition in partitions}
    grants: dict[int, list[int]] = {shard: [] for shard in set(wanted.values()) | set(held)}
    for partition, shard in sorted(wanted.items()):
        if holder.get(partition, shard) == shard:
            grants[shard].append(partition)
    return grants
