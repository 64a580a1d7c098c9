"""What people do to notifications: choose the rules, and send one again."""

from collections.abc import Mapping

from engine.notifications.follower import message_task
from models.documents.document import now
from models.documents.event import Event
from models.documents.notification import Notification, Template
from models.documents.notification_rules import NotificationRules, Rule
from models.errors import Conflict, check_version
from models.ids import new_id
from models.store.connections import Database
from models.store.notifications import NotificationRepository, NotificationRulesRepository
from models.store.outbox import Announcement
from models.store.scope import Scope

__all__ = ["NotificationCommands"]

_UNDER_WAY = frozenset({"waiting", "sending"})


class NotificationCommands:
    """What can be done to a tenant's notifications and their rules."""

    def __init__(self, database: Database) -> None:
        self._notifications = NotificationRepository(database)
        self._rules = NotificationRulesRepository(database)

    async def choose(self, scope: Scope, rules: Mapping[Template, Rule], version: int | None) -> NotificationRules:
        """Replace the tenant's rules; kinds of messages that are left out have the usual ones.

        Raises
        ------
        VersionConflict
            If `version` is no longer current, or somebody else was faster.
        """
        before = await self._rules.get(scope)
        check_version("notification rules", version, before.version)
        after = before.model_copy(update={"rules": dict(rules), "version": before.version + 1, "updated_at": now()})
        event = Event(
            id=new_id("evt"),
            tenant=scope.tenant,
            time=after.updated_at,
            type="notification_rules.changed",
            aggregate=f"{scope.tenant}/notification-rules",
            sequence=after.version - 1,
            actor=scope.actor,
            data={"version": after.version},
        )
        await self._rules.replace(after, before.version, Announcement(event, before=before, after=after))
        return after

    async def resend(self, scope: Scope, notification: str) -> Notification:
        """Send a notification once more, whatever became of it: a new one, with the old one's words and channels.

        Raises
        ------
        NotFound
            If the tenant has no such notification.
        Conflict
            If it is still under way, or is a mail about an account, whose address nobody has kept.
        """
        old = await self._notifications.get(scope, notification)
        if old.state in _UNDER_WAY:
            raise Conflict(f"notification {old.id} is still under way")
        if old.delivery is None and old.user is None:
            raise Conflict("a mail about an account can't be sent again: its address was not kept")
        moment = now()
        fresh = {
            "id": new_id("ntf"),
            "state": "waiting",
            "channel": None,
            "tries": (),
            "reason": None,
            "urgent": True,  # somebody wants it now
            "resends": old.id,
            "created_at": moment,
            "updated_at": moment,
            "expires_at": None if old.expires_at is None else moment + (old.expires_at - old.created_at),
        }
        again = old.model_copy(update=fresh)
        await self._notifications.put_with(again, message_task(again), _resent(scope, again))
        return again


def _resent(scope: Scope, again: Notification) -> Announcement:
    event = Event(
        id=new_id("evt"),
        tenant=scope.tenant,
        time=again.created_at,
        type="notification.resent",
        aggregate=again.id,
        sequence=1,
        actor=scope.actor,
        data={"notificationId": again.id, "resends": again.resends, "deliveryId": again.delivery},
    )
    return Announcement(event, after=again)
