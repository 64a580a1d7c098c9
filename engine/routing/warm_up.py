"""Compiles the search for plans, and what plans routes on the road anew: `python -m engine.routing.warm_up`.

Workers and the host read the code from numba's cache then.
"""

from engine.routing import reoptimize
from engine.routing.solvers import ruin_recreate

if __name__ == "__main__":
    ruin_recreate.warm_up()
    reoptimize.warm_up()
