"""The processes that search for routes."""

import contextlib

import psutil

__all__ = ["searching_below"]


def searching_below(pid: int | None = None) -> list[int]:
    """Return those below a process, by default this one; what other tests search meanwhile is none of theirs."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("_solve" in part for part in process.cmdline()):
                found.append(process.pid)
    return found
