"""What the stack costs: processor time and memory of all its processes, by role."""

from collections.abc import Iterator

import psutil

__all__ = ["cpu_seconds", "cpu_seconds_by_role", "rss_mib"]

_ROLES = (  # words of a command line → role, first match
    ("bench.plain", "plain"),
    ("mongod", "mongod"),
    ("valkey-server", "redis"),
    ("redis-server", "redis"),
    ("api.worker", "api"),
    ("ray::ShardActor", "engine"),
    ("outrider", "engine"),
)
_RAY = "ray"  # its own control processes


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process tree has used so far, children that ended included."""
    total = 0.0
    for process in _tree(pid):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def cpu_seconds_by_role(*pids: int) -> dict[str, float]:
    """Return the processor time that the living processes of some trees have used so far, by role."""
    sums: dict[str, float] = {}
    for process in (process for pid in pids for process in _tree(pid)):
        try:
            times, role = process.cpu_times(), _role(process)
        except psutil.NoSuchProcess:
            continue
        sums[role] = sums.get(role, 0.0) + times.user + times.system
    return sums


def rss_mib(pid: int) -> dict[str, float]:
    """Return the resident memory of a process tree by role, MiB: `api`, `engine`, `redis`, `mongod`, `ray`."""
    sums: dict[str, float] = dict.fromkeys(("api", "engine", "redis", "mongod", _RAY), 0.0)
    for process in _tree(pid):
        try:
            sums[_role(process)] += process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            continue
    return {role: round(size, 1) for role, size in sums.items()}


def _tree(pid: int) -> Iterator[psutil.Process]:
    root = psutil.Process(pid)
    yield root
    yield from root.children(recursive=True)


def _role(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    if "/ray/" in line and "ray::" not in line:
        return _RAY
    return next((role for word, role in _ROLES if word in line), _RAY)
