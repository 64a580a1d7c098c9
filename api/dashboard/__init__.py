"""Where the dashboard's built files and its maps lie; `api.routers.page` serves them."""

from pathlib import Path

__all__ = ["BUILT", "MAPS", "is_built"]

BUILT = Path(__file__).parent / "built"
"""What `npm run build` writes: `index.html` and `assets/`. Not committed; see `api.dashboard.build`."""

MAPS = Path(__file__).parent / "maps"
"""Base maps as PMTiles, shipped with the package."""


def is_built() -> bool:
    """Tell whether there is a dashboard to serve."""
    return (BUILT / "index.html").is_file()
