"""Rules import without the machinery: import-linter does not see what a parent package pulls in, this does."""

import subprocess
import sys

PURE = [
    "models.errors",
    "models.eta.bundle",
    "models.eta.features",
    "models.eta.online_calibration",
    "models.eta.residuals",
    "models.geo",
    "models.ids",
    "models.messages.fixes",
    "models.messages.live",
    "models.messages.log",
    "models.messages.commands",
    "engine.motion.noise",
    "engine.motion.stops",
    "engine.geofences.edges",
    "engine.deliveries.arrival",
    "engine.deliveries.lifecycle",
    "engine.deliveries.past",
    "engine.deliveries.pictures",
    "engine.deliveries.round",
    "engine.dispatch.rules",
    "engine.roads.network",
    "engine.shards.advance",
    "engine.shards.drivers",
    "engine.partitions.assignment",
]
MACHINERY = ("ray", "redis", "motor", "pymongo", "fastapi", "httpx2")


def pulled_in(modules):
    imports = "; ".join(f"import {module}" for module in modules)
    code = f"import sys; {imports}; print(' '.join(m for m in {MACHINERY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_pure_modules_pull_in_no_machinery():
    if pulled_in(PURE):  # who does it: each in a process of its own
        assert {module: found for module in PURE if (found := pulled_in([module]))} == {}
