"""Who follows the feed of events."""

from engine.analytics.follower import FigureFollower
from engine.dispatch.follower import DispatchFollower
from engine.feed.feed import Follower
from engine.geocoding.places import PlaceFollower
from engine.notifications.follower import NotificationFollower
from engine.routing.automatic import ReplanFollower
from engine.routing.completion import RouteFollower
from engine.settings import Settings
from engine.webhooks.follower import WebhookFollower
from models.store.connections import Database

__all__ = ["followers_of"]


def followers_of(database: Database, settings: Settings) -> list[Follower]:
    """Return all followers of this installation."""
    return [
        WebhookFollower(database),
        FigureFollower(database),
        RouteFollower(database),
        ReplanFollower(database),
        PlaceFollower(database),
        DispatchFollower(database),
        NotificationFollower(database, settings),
    ]
