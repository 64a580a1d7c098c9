"""The door: pings over HTTP and over the ingest stream."""

from api.ingest.pings import router

__all__ = ["router"]
