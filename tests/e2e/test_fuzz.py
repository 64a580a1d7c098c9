"""A short run of schemathesis over the whole API, every check on; `make fuzz` is the long one."""

import pytest

from tests.fuzz import LIMITS_OFF, failed_requests, fuzz
from tests.stack import running_outrider

pytestmark = pytest.mark.long

RUN_S = 30


def test_no_request_finds_a_fault():
    with running_outrider(OUTRIDER_API__WORKERS="1", OUTRIDER_SHARDS__COUNT="1", **LIMITS_OFF) as outrider:
        result = fuzz(outrider.url, RUN_S)
        failed = failed_requests(outrider)
    assert result.returncode == 0, result.stdout
    assert "Stateful" in result.stdout
    assert not failed
