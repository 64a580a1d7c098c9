"""What processes keep of MongoDB, and how long it is good."""

from engine.caching.documents import DocumentCache
from engine.caching.generations import IDENTITIES, Generations, generations_of, group_of

__all__ = ["IDENTITIES", "DocumentCache", "Generations", "generations_of", "group_of"]
