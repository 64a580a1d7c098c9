"""How seldom a process that serves for weeks looks for cycles in its memory."""

import gc

__all__ = ["collect_later", "collect_seldom"]

_THRESHOLDS = (20_000, 20, 50)  # what is served leaves few cycles; by default 7 % of an API's time goes into looking


def collect_later() -> None:
    """Look for no cycles until `collect_seldom`: imports leave few, and looking took a quarter of the start-up."""
    gc.disable()


def collect_seldom() -> None:
    """Leave what start-up has made alone for ever, hundreds of thousands of objects, and look at the rest seldom.

    Called once, when all is imported and begun: to go through what is there takes a fifth of a second each time.
    """
    gc.collect()
    gc.set_threshold(*_THRESHOLDS)
    gc.freeze()
    gc.enable()
