"""What the routers share: made once by `api.lifespan`, found at `request.app.state.services`."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from api.auth.passwords import Passwords
from api.auth.throttle import Throttle
from api.delivery_answer import KnownAnswers
from api.limits import RateLimits
from api.outages import OutageWatch
from engine.caching import DocumentCache
from engine.geocoding.chain import Geocoding
from engine.providers.circuits import SharedCircuits
from engine.settings import Settings
from engine.travel.chain import Travel, travel_of
from models.store.connections import Database

if TYPE_CHECKING:
    from api.auth.tokens import Authenticator
    from api.gateway.hub import Hub
    from engine.client import Engine
    from engine.log.append import LogAppender
    from engine.registry import DriverRegistry

__all__ = ["Services"]


@dataclass(slots=True)
class Services:
    """The parts of one API process."""

    settings: Settings
    database: Database
    redis: "Redis"
    authenticator: "Authenticator"
    """`await authenticator.authenticate(token) -> Principal`; raises NotAuthenticated."""
    registry: "DriverRegistry"
    """Driver ids to numbers and back."""
    appender: "LogAppender"
    """Group commit to the ingest log, and the durable watermark."""
    engine: "Engine"
    """Typed references to virtual actors, live queries, tracks."""
    hub: "Hub"
    """Fan-out of live frames to this process's subscribers."""
    passwords: Passwords = field(default_factory=Passwords)
    """Hashes and checks passwords, a few at a time."""
    shown: KnownAnswers = field(default_factory=KnownAnswers)
    """Deliveries that were shown lately."""
    limits: RateLimits = field(init=False)
    """How often callers may ask."""
    geocoding: Geocoding = field(init=False)
    """Addresses to points."""
    travel: Travel = field(init=False)
    """Times, lengths and ways between places."""
    throttle: Throttle = field(init=False)
    """How often somebody may try to sign in."""

    outages: OutageWatch = field(init=False)
    """Breaks requests off while MongoDB does not answer."""

    def __post_init__(self) -> None:
        self.database.kept = DocumentCache(self.authenticator.generations, self.redis, self.settings.prefix)
        self.outages = OutageWatch(self.database.ping)
        limits, prefix = self.settings.limits, self.settings.prefix
        self.limits = RateLimits(limits, self.redis, prefix, self.database)
        self.travel = travel_of(self.settings.travel, self.settings.traffic_file)
        self.geocoding = Geocoding(self.settings.geocoding, self.database, SharedCircuits(self.redis, prefix))
        self.throttle = Throttle(limits, self.redis, prefix)
