"""Data that ships with Outrider; where each file comes from stands in ATTRIBUTION.md."""

from pathlib import Path

__all__ = ["DEMO_TRACE"]

DEMO_TRACE = Path(__file__).parent / "demo_porto.parquet"
"""225 taxis of Porto on a Monday morning."""
