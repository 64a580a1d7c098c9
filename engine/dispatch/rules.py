"""Who is asked whether they take a delivery, in which order, and what an answer or silence leads to.

Pure: time, positions and loads come in. `engine.dispatch.commands` loads, asks here, and stores.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.documents.offer import Offer, OfferRound, OfferState, RoundState
from models.errors import Conflict, NotFound

__all__ = [
    "Candidate",
    "OfferEvent",
    "Step",
    "accept",
    "ask",
    "cancel",
    "decline",
    "expire",
    "needs_candidates",
    "ranked",
]

_DETOUR = 1.3  # way by road over the great circle, in towns
_PER_STOP_S = 300.0  # what an open delivery takes before a driver comes to this one

Kind = Literal["offer.made", "offer.accepted", "offer.declined", "offer.expired", "offer.withdrawn", "offer.exhausted"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A driver who could be asked."""

    driver: str
    away_m: float
    pace_mps: float
    """How fast such a vehicle gets on in town, metres a second."""
    open_deliveries: int
    """How many it has to do already."""
    has_room: bool
    """Whether the parcel fits beside what it has."""
    is_asked: bool = False
    """Whether it is thinking about another delivery just now."""


@dataclass(frozen=True, slots=True)
class OfferEvent:
    """What is told of a step."""

    kind: Kind
    offer: Offer | None
    """None where it is about the whole round."""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a round, one version on."""

    round: OfferRound
    told: tuple[OfferEvent, ...]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates, who would be there first before all others."""
    return sorted(candidates, key=lambda one: (_there_after_s(one), one.driver))


def needs_candidates(before: OfferRound) -> bool:
    """Tell whether a round goes on only by asking somebody else."""
    return before.state == "asking" and not any(offer.state == "open" for offer in before.offers)


def ask(before: OfferRound, candidates: Sequence[Candidate], ids: Sequence[str], at: datetime.datetime) -> Step:
    """Ask the best of those who were not asked yet; the round is exhausted if there is nobody.

    Whoever is being asked about another delivery is left in peace as long as somebody else could take this one.

    Parameters
    ----------
    candidates
        Drivers nearby as they are now.
    ids
        Ids for new offers, as many as may be needed (`OfferTerms.max_drivers`).
    """
    if not needs_candidates(before):
        return Step(before, ())
    asked = {offer.driver for offer in before.offers}
    left = before.terms.max_drivers - len(asked)
    fit = [one for one in ranked(candidates) if one.driver not in asked and _may_be_asked(before, one)]
    fit = [one for one in fit if not one.is_asked] or fit
    chosen = fit[: min(left, 1 if before.terms.strategy == "in_turn" else left)]
    if not chosen:
        return _stepped(before, before.offers, [OfferEvent("offer.exhausted", None)], "exhausted")
    until = at + datetime.timedelta(seconds=before.terms.time_limit_s)
    made = [
        Offer(id=identifier, driver=one.driver, made_at=at, until=until, away_m=round(one.away_m, 1))
        for identifier, one in zip(ids, chosen, strict=False)
    ]
    return _stepped(before, (*before.offers, *made), [OfferEvent("offer.made", offer) for offer in made], "asking")


def accept(before: OfferRound, offer: str, at: datetime.datetime) -> Step:
    """Let a driver have the delivery; whoever else is being asked is told that it is gone.

    Raises
    ------
    Conflict
        If the offer is no longer open, or its time is over.
    """
    found = _open(before, offer)
    if at >= found.until:
        raise Conflict("the time to accept this offer is over")
    told: list[OfferEvent] = []
    offers = []
    for one in before.offers:
        state: OfferState = "accepted" if one.id == offer else "withdrawn"
        offers.append(_answered(one, state, at, told) if one.state == "open" else one)
    return _stepped(before, offers, told, "accepted")


def decline(before: OfferRound, offer: str, at: datetime.datetime) -> Step:
    """Let a driver say no.

    Raises
    ------
    Conflict
        If the offer is no longer open.
    """
    return _closed(before, _open(before, offer), "declined", at)


def expire(before: OfferRound, offer: str, at: datetime.datetime) -> Step:
    """End an offer whose time is over; one that is answered, or has time left, stays as it is."""
    found = next((one for one in before.offers if one.id == offer), None)
    if before.state != "asking" or found is None or found.state != "open" or at < found.until:
        return Step(before, ())
    return _closed(before, found, "expired", at)


def cancel(before: OfferRound, at: datetime.datetime) -> Step:
    """End a round that is still asking: the delivery was called off, or given to somebody by hand."""
    if before.state != "asking":
        return Step(before, ())
    told: list[OfferEvent] = []
    offers = [_answered(one, "withdrawn", at, told) if one.state == "open" else one for one in before.offers]
    return _stepped(before, offers, told, "cancelled")


def _there_after_s(candidate: Candidate) -> float:
    return candidate.away_m * _DETOUR / candidate.pace_mps + candidate.open_deliveries * _PER_STOP_S


def _may_be_asked(before: OfferRound, candidate: Candidate) -> bool:
    named = before.terms.drivers
    is_wanted = candidate.driver in named if named else candidate.driver not in before.without
    return is_wanted and candidate.has_room and candidate.away_m <= before.terms.radius_m


def _open(before: OfferRound, offer: str) -> Offer:
    found = next((one for one in before.offers if one.id == offer), None)
    if found is None:
        raise NotFound("offer", offer)
    if before.state != "asking" or found.state != "open":
        raise Conflict(f"the offer is {found.state}")
    return found


def _closed(before: OfferRound, offer: Offer, state: OfferState, at: datetime.datetime) -> Step:
    told: list[OfferEvent] = []
    offers = [_answered(one, state, at, told) if one.id == offer.id else one for one in before.offers]
    return _stepped(before, offers, told, "asking")


def _answered(offer: Offer, state: OfferState, at: datetime.datetime, told: list[OfferEvent]) -> Offer:
    changed = offer.model_copy(update={"state": state, "answered_at": at})
    told.append(OfferEvent(_KINDS[state], changed))
    return changed


_KINDS: dict[OfferState, Kind] = {
    "open": "offer.made",
    "accepted": "offer.accepted",
    "declined": "offer.declined",
    "expired": "offer.expired",
    "withdrawn": "offer.withdrawn",
}


def _stepped(before: OfferRound, offers: Sequence[Offer], told: Sequence[OfferEvent], state: RoundState) -> Step:
    after = before.model_copy(
        update={
            "version": before.version + 1,
            "state": state,
            "offers": tuple(offers),
            "told": before.told + len(told),
        }
    )
    return Step(after, tuple(told))
