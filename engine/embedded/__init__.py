"""The stores that Outrider starts itself: a real mongod and a real Redis-compatible server."""

from engine.embedded.mongod import EmbeddedMongo
from engine.embedded.redis_server import EmbeddedRedis

__all__ = ["EmbeddedMongo", "EmbeddedRedis"]
