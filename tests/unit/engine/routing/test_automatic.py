"""Which proposals may be carried out without anybody saying yes."""

import datetime

import pytest

from engine.routing.automatic import fault_of
from models.documents.job import Unserved
from models.documents.proposal import Cause, Proposal, ProposedRoute, StopChange
from models.documents.route import Violation
from models.documents.tenant import Replanning

AT = datetime.datetime(2026, 11, 25, 8, tzinfo=datetime.UTC)
LATE = Violation(kind="late", stop=1, detail="late", excess=60)
LIMITS = Replanning(mode="accept", max_detour_s=600, max_shift_s=900)


def a_proposal(shift_s=300.0, broken=(), **fields):
    stop = StopChange(delivery_id="dlv_1", kind="dropoff", change="shifted", expected=AT, arrival=AT, shift_s=shift_s)
    route = ProposedRoute(
        route_id="rte_1",
        version=1,
        ahead=(),
        visits=(),
        stops=(),
        end=AT,
        changes=(stop,),
        distance_m=0,
        duration_s=0,
        cost=0,
        broken=broken,
        mended=(LATE,),
    )
    return Proposal(
        id="prp_1",
        tenant="ten_1",
        by="engine",
        cause=Cause(),
        routes=(route,),
        expires_at=AT,
        **({"duration_s": 500} | fields),
    )


@pytest.mark.parametrize(
    ("proposal", "fault"),
    [
        (a_proposal(), None),
        (a_proposal(duration_s=601), "detour"),
        (a_proposal(shift_s=-901.0), "shift"),
        (a_proposal(broken=(LATE,)), "broken_promise"),
        (a_proposal(unserved=(Unserved(delivery_id="dlv_2", reason="full"),)), "unserved"),
    ],
)
def test_what_breaks_a_limit_is_left_to_people(proposal, fault):
    assert fault_of(proposal, LIMITS) == fault
