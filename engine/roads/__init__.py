"""Roads: what an OpenStreetMap extract becomes, for eyes (`basemap`) and for ways (`build`, `network`)."""

from pathlib import Path

__all__ = ["PORTO"]

PORTO = Path(__file__).parent / "porto.osm.pbf"
"""The map of the demo's region, which comes along (see ATTRIBUTION.md)."""
