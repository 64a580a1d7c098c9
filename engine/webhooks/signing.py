"""Signatures by the Standard Webhooks specification, version 1.0.0: HMAC-SHA256, one for every secret that is valid."""

import base64
import datetime
import secrets
from collections.abc import Sequence

from standardwebhooks.webhooks import Webhook as Signer

__all__ = ["new_secret", "signed_headers"]

_SECRET_BYTES = 32  # the specification wants 24 to 64
_PREFIX = "whsec_"


def new_secret() -> str:
    """Return a new secret, such as `whsec_C2FVsBQIhrscChlQIMV+…`."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(secrets_: Sequence[str], event: str, moment: datetime.datetime, body: str) -> dict[str, str]:
    """Return the headers that tell the receiver whose event this is, which, and of when.

    Parameters
    ----------
    secrets_
        All that are valid, newest first; the receiver needs to know one.
    event
        Id of the event: the same at every try, so that the receiver can tell a repeat.
    """
    signatures = [Signer(secret).sign(event, moment, body) for secret in secrets_]
    return {
        "webhook-id": event,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
