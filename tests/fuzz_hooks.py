"""What schemathesis loads before a run of `tests.fuzz`."""

import os
import uuid

import schemathesis

SPARED = frozenset(os.environ.get("FUZZ_SPARED", "").split())
WRITING = frozenset({"PUT", "PATCH", "DELETE", "POST"})


@schemathesis.hook
def filter_case(context, case):
    """Leave those alone as whom everything else is asked."""
    return case.method not in WRITING or SPARED.isdisjoint((case.path_parameters or {}).values())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Give each creation a key of its own: one that comes again gets the first answer, also when that is gone since."""
    if case.headers and "Idempotency-Key" in case.headers and case.meta.generation.mode.is_positive:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
