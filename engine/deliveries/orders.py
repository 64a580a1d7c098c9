"""Several deliveries at once: what new orders and revisions come to, step by step. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.deliveries.announcements import announced, created
from engine.deliveries.lifecycle import Assign, Command, Decision, Edit, transition
from models.documents.delivery import Delivery
from models.documents.document import now
from models.documents.driver import Driver
from models.errors import Conflict, ForbiddenTransition, NotFound, OutriderError
from models.ids import new_id
from models.store.outbox import Announcement
from models.store.scope import Scope

__all__ = ["Order", "Revision", "decide", "decide_revision", "ordered", "revised"]


@dataclass(frozen=True, slots=True)
class Order:
    """A delivery to be created, and the driver who gets it at once."""

    delivery: Delivery
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """New fields for a delivery that exists, and the driver who shall have it, if one is named."""

    delivery: str
    edit: Edit
    driver: str | None = None


def ordered(
    scope: Scope, orders: Sequence[Order], drivers: Mapping[str, Driver]
) -> tuple[list[Delivery], list[Announcement]]:
    """Return new deliveries, each with the driver of its order if that is among `drivers`, and what is told of them."""
    stored: list[Delivery] = []
    announcements: list[Announcement] = []
    for order in orders:
        delivery = order.delivery
        announcements.append(created(scope, delivery))
        if order.driver is not None and order.driver in drivers:
            decision = transition(delivery, Assign(order.driver, now(), scope.actor))
            announcements.append(announced(delivery, decision, scope, drivers, new_id("evt")))
            delivery = decision.delivery
        stored.append(delivery)
    return stored, announcements


def revised(
    scope: Scope, revisions: Sequence[Revision], before: Mapping[str, Delivery], drivers: Mapping[str, Driver]
) -> tuple[list[tuple[Delivery, int]], list[Announcement], dict[str, OutriderError]]:
    """Return changed deliveries with the versions they were at, what is told of them, and what was refused and why."""
    changed: list[tuple[Delivery, int]] = []
    told: list[Announcement] = []
    refused: dict[str, OutriderError] = {}
    for one in revisions:
        if (was := before.get(one.delivery)) is None:
            refused[one.delivery] = NotFound("delivery", one.delivery)
            continue
        try:
            driver = one.driver if one.driver in drivers else None
            decisions = decide_revision(was, Revision(one.delivery, one.edit, driver), scope.actor)
        except (Conflict, ForbiddenTransition) as fault:
            refused[one.delivery] = fault
            continue
        steps = zip([was, *(step.delivery for step in decisions)], decisions, strict=False)
        told += [announced(earlier, step, scope, drivers, new_id("evt")) for earlier, step in steps]
        changed.append((decisions[-1].delivery, was.version))
    return changed, told, refused


def decide_revision(delivery: Delivery, revision: Revision, actor: str) -> list[Decision]:
    """Return what a revision makes of a delivery, step by step.

    Raises
    ------
    Conflict
        If the edit comes too late.
    ForbiddenTransition
        If it can't be given to another driver any more.
    """
    commands: list[Command] = [revision.edit]
    if revision.driver is not None and revision.driver != delivery.driver:
        commands.append(Assign(revision.driver, revision.edit.at, actor))
    return decide(delivery, commands)


def decide(delivery: Delivery, commands: Sequence[Command]) -> list[Decision]:
    """Return what commands make of a delivery, one after the other; raises as `transition` does."""
    decisions: list[Decision] = []
    for command in commands:
        decisions.append(transition(decisions[-1].delivery if decisions else delivery, command))
    return decisions
