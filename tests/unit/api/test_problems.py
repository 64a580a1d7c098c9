"""Errors to problems: one table, every class."""

import inspect
import pickle

import pytest

from api.problems import problem_of, problem_response, status_of
from models import errors
from models.errors import (
    Fenced,
    ForbiddenTransition,
    InvalidInput,
    NotFound,
    OutriderError,
    TryLater,
    VersionConflict,
)

SAMPLES = {
    VersionConflict: ("delivery", 3, 4),
    ForbiddenTransition: ("delivery dlv_1", "pending", "arrived", ("assigned", "cancelled")),
    NotFound: ("driver", "drv_1"),
    Fenced: (1, 2, 3),
}


def every_class(kind=OutriderError):
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from every_class(child)


def a_sample(kind):
    if kind in SAMPLES:
        return kind(*SAMPLES[kind])
    return kind("too bad")


@pytest.mark.parametrize("kind", list(every_class()), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_and_has_a_code_and_a_status(kind):
    error = a_sample(kind)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert kind.code
    assert 400 <= status_of(kind) <= 503
    assert inspect.getdoc(kind)


def test_codes_are_unique():
    codes = [kind.code for kind in every_class()]
    assert len(codes) == len(set(codes))


def test_a_lost_race_says_the_current_version():
    problem = problem_of(VersionConflict("delivery", 3, 4), "req_1")
    assert (problem["status"], problem["current"], problem["requestId"]) == (409, 4, "req_1")


def test_a_forbidden_transition_names_the_allowed_ones():
    problem = problem_of(ForbiddenTransition("delivery dlv_1", "pending", "arrived", ("assigned",)))
    assert problem["allowed"] == ["assigned"]
    assert problem["errors"][0]["field"] == "status"
    assert "current" not in problem


def test_our_own_faults_say_nothing_of_the_inside():
    problem = problem_of(Fenced(1, 2, 3))
    assert problem["status"] == 500
    assert "partition" not in problem["detail"]


def test_try_later_says_when():
    assert problem_response(TryLater("busy", 2.4)).headers["Retry-After"] == "2"


def test_field_paths_are_told():
    problem = problem_of(InvalidInput("no", [("pickup.latitude", "too far north")]))
    assert problem["errors"] == [{"field": "pickup.latitude", "detail": "too far north"}]
