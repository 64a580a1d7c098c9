"""The page that a customer with a tracking link sees; it asks `GET /api/v1/track/{token}`."""

from pathlib import Path

__all__ = ["PAGE"]

PAGE = Path(__file__).parent
"""Folder with the page and what it loads."""
