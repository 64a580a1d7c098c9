"""Languages in which customers, drivers and users are written to."""

from typing import Literal

__all__ = ["Language"]

Language = Literal["en", "de", "es", "zh"]
"""English, German, Spanish, Chinese (simplified)."""
