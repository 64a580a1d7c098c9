"""When a process looks for cycles in its memory."""

import gc

from engine.collecting import collect_later, collect_seldom


class Knot:
    """Something that holds itself."""

    def __init__(self) -> None:
        self.own = self


def knots() -> int:
    return sum(isinstance(one, Knot) for one in gc.get_objects())


def test_cycles_are_left_while_a_process_starts_and_looked_for_when_it_serves():
    before = gc.get_threshold()
    try:
        collect_later()
        for _ in range(100_000):
            Knot()
        assert knots() == 100_000
        collect_seldom()
        assert knots() == 0
        for _ in range(100_000):
            Knot()
        assert knots() < 50_000
    finally:
        gc.set_threshold(*before)
