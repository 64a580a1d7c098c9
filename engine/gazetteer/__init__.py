"""An offline gazetteer: addresses, streets and places of an OpenStreetMap extract, found by what people write."""

from pathlib import Path

__all__ = ["PORTO"]

PORTO = Path(__file__).with_name("porto.sqlite")
"""Porto and what is round it, for a first start (© OpenStreetMap contributors, ODbL 1.0; see ATTRIBUTION.md)."""
