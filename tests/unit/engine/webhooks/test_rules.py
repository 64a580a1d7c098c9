"""The rules of webhooks: where they may lead, what they are told of, signatures, pauses."""

import ipaddress

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Verifier

from engine.webhooks.addresses import is_public
from engine.webhooks.retries import DELAYS_S, pause_s
from engine.webhooks.sender import _wait_of
from engine.webhooks.signing import new_secret, signed_headers
from models.documents.document import now
from models.documents.webhook import WebhookShape

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  # an address to ask, not to bind
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_inner_address_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::5db8:d822"])
def test_an_address_of_the_internet_is_public(address):
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_an_ipv6_dress_is_judged_as_itself(address):
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    assert is_public(str(mapped)) == is_public(str(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "https://name:word@example.com/",
        "https://example.com/#part",
        "https://example.com:0/",
        "example.com",
        "https://",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_what_is_no_address_to_post_to_is_refused(url):
    with pytest.raises(ValueError):
        WebhookShape(url=url)


def test_a_disguised_address_is_kept_in_its_plain_form():
    assert WebhookShape(url="http://2130706433/hook").url == "http://127.0.0.1/hook"


@pytest.mark.parametrize("pattern", ["delivery", "delivery.*", "delivery.assigned", "*", "geofence.dwell.*"])
def test_patterns_of_events(pattern):
    assert WebhookShape(url="https://example.com", events=(pattern,)).events == (pattern,)


@pytest.mark.parametrize("pattern", ["", "*.created", "delivery.", "Delivery.*", "delivery*", "[a-z]", "a?"])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError):
        WebhookShape(url="https://example.com", events=(pattern,))


def test_a_signature_of_each_secret_verifies_with_the_library():
    secrets, body = [new_secret(), new_secret()], '{"type":"delivery.assigned"}'
    headers = signed_headers(secrets, "evt_1", now(), body)
    for secret in secrets:
        assert Verifier(secret).verify(body, headers) == {"type": "delivery.assigned"}
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(new_secret()).verify(body, headers)


@given(st.integers(1, len(DELAYS_S)), st.none() | st.floats(0, 1e300))
def test_pauses_grow_and_honour_the_receiver(attempt, wanted):
    pause = pause_s(attempt, wanted)
    assert DELAYS_S[attempt - 1] <= pause <= 86_400 * 1.2
    assert pause >= min(wanted or 0, 86_400)


def test_tries_go_on_for_about_three_days():
    assert 3 <= sum(DELAYS_S) / 86_400 < 4
    assert pause_s(len(DELAYS_S) + 1) is None


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("120", 120.0),
        ("²", None),
        ("9" * 400, None),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header, wait):
    assert _wait_of(header) == wait


def test_the_transport_still_has_the_pool_that_we_replace():
    assert hasattr(httpx2.AsyncHTTPTransport(), "_pool")
