"""Data that ships with Outrider; where each file comes from stands in ATTRIBUTION.md."""

from pathlib import Path

__all__ = ["TAXI_TRACE"]

TAXI_TRACE = Path(__file__).parent / "porto_taxis.parquet"
"""225 taxis of Porto on a Monday morning, for `outrider replay`."""
