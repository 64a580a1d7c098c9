"""What API processes keep of MongoDB, and how long it is good."""

from engine.caching.generations import IDENTITIES, Generations, generations_of
from engine.caching.tenants import TenantCache

__all__ = ["IDENTITIES", "Generations", "TenantCache", "generations_of"]
