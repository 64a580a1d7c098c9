"""Compiles the rules once, so that a shard reads them from numba's cache: `python -m engine.shards.warm_up`."""

from engine.shards.advance import warm_up

if __name__ == "__main__":
    warm_up()
