"""What has to stand in the environment before Ray and prometheus-client are imported: both look once, at their import.

Children inherit it: API workers, and through Ray's own processes the shards.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from pydantic import SecretStr
from pydantic_core import to_jsonable_python

from engine.settings import Settings

__all__ = ["METRICS_VARIABLE", "environment_of", "prepare_environment"]

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which the processes of one Outrider add up their metrics."""

_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",  # tells nobody on the internet that it runs
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # else its handler takes SIGTERM away from the host's orderly stop
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_worker_niceness": "0",  # it would start shards at 15, behind every other process of a busy machine
    "RAY_agent_register_timeout_ms": "120000",  # its agents take half a minute to import on a machine that is busy
}


_RAY_OF_OUR_OWN = {
    # its ports stay on loopback; it turns a plain "127.0.0.1" into the machine's outer address otherwise
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


def prepare_environment(settings: Settings) -> None:
    """Set up this process, and all that it starts, to share metrics under `var` and to run Ray quietly."""
    folder = settings.var.resolve() / "metrics"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in folder.glob("*_*.db"):
        pid = old.stem.rpartition("_")[2]
        if not Path("/proc", pid).exists():  # an earlier run's figures; those of a running one stay
            with contextlib.suppress(FileNotFoundError):
                old.unlink()
    os.environ[METRICS_VARIABLE] = str(folder)
    for name, value in (_RAY if settings.ray_address else _RAY | _RAY_OF_OUR_OWN).items():
        os.environ.setdefault(name, value)


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the variables from which a child reads these settings, secrets in clear."""
    return dict(_flat(settings.model_dump(exclude_none=True), "OUTRIDER"))


def _flat(fields: Mapping[str, object], prefix: str, step: str = "_") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in fields.items():
        key = f"{prefix}{step}{name.upper()}"
        if isinstance(value, Mapping):
            found += _flat(value, key, "__")
            continue
        plain = _revealed(value)
        found.append((key, plain if isinstance(plain, str) else msgspec.json.encode(plain).decode()))
    return found


def _revealed(value: object) -> object:
    """Return secrets in clear, also those of a list."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return [_revealed(item) for item in value] if isinstance(value, tuple) else to_jsonable_python(value)
