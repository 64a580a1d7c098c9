"""When a webhook is tried again: three days of growing pauses, as the Standard Webhooks specification proposes."""

import random
from collections.abc import Sequence

__all__ = ["DELAYS_S", "pause_s"]

DELAYS_S = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Pauses after the first try, the second and so on, seconds: 75 hours in all."""

_SPREAD = 0.2  # a server that comes back is not met by everybody at once
_LONGEST_WAIT_S = 86_400.0


def pause_s(attempt: int, retry_after_s: float | None = None, delays_s: Sequence[float] = DELAYS_S) -> float | None:
    """Return the pause after a failed try, seconds; None after the last one.

    Parameters
    ----------
    attempt
        Number of the try, from 1.
    retry_after_s
        What the receiver asked for; it counts where it is longer, up to a day.
    """
    if attempt > len(delays_s):
        return None
    delay_s = delays_s[attempt - 1] * random.uniform(1.0, 1.0 + _SPREAD)  # noqa: S311 - spreads load, no secret
    return max(delay_s, min(retry_after_s or 0.0, _LONGEST_WAIT_S))
