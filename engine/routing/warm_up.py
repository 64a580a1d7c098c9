"""Compiles the search for plans, so that workers read it from numba's cache: `python -m engine.routing.warm_up`."""

from engine.routing.solvers.ruin_recreate import warm_up

if __name__ == "__main__":
    warm_up()
