"""Searches in this very process, one after the other: for problems that are solved sooner than a process starts."""

from collections.abc import Callable, Iterator, Sequence

from engine.routing.search import Found, Routes, Search
from engine.routing.solvers.run import run_search

__all__ = ["InlineRunner"]


class InlineRunner:
    """Runs searches where it is called. The solver holds the interpreter meanwhile."""

    @property
    def cores(self) -> int:
        """Return 1."""
        return 1

    def run(self, searches: Sequence[Search], report: Callable[[int, Routes], None]) -> Iterator[tuple[int, Found]]:
        """Yield (number of the search, what it found) as searches end."""
        for number, search in enumerate(searches):
            yield number, run_search(search, lambda routes, number=number: report(number, routes))  # type: ignore[misc]
