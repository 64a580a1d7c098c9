"""Compiles the rules once, so that a shard reads them from numba's cache: `python -m engine.shards.warm_up`."""

from engine.eta import chain
from engine.shards import advance

if __name__ == "__main__":
    advance.warm_up()
    chain.warm_up()
