"""Headers that tell browsers what an answer may do: a policy for the API, one for pages."""

from collections.abc import Mapping
from typing import Final

from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)

__all__ = ["Headers", "security_headers", "with_headers"]

Headers = tuple[tuple[bytes, bytes], ...]
"""As ASGI has them, names in lower case."""

_YEAR_S = 365 * 86_400


def _answers() -> ContentSecurityPolicy:
    """Return the policy of answers: they are data, nothing in them is to be run or shown."""
    return ContentSecurityPolicy().default_src("'none'").frame_ancestors("'none'")


def _page() -> ContentSecurityPolicy:
    """Return the policy of pages: scripts and workers are files of ours; MapLibre and Swagger UI set styles."""
    return (
        ContentSecurityPolicy()
        .default_src("'self'")
        .script_src("'self'")
        .worker_src("'self'")
        .connect_src("'self'", "ws:", "wss:")
        .style_src("'self'", "'unsafe-inline'")
        .img_src("'self'", "data:", "blob:")
        .font_src("'self'", "data:")
        .base_uri("'none'")
        .form_action("'self'")
        .frame_ancestors("'none'")
        .object_src("'none'")
    )


def _headers(policy: ContentSecurityPolicy, **more: str) -> Headers:
    chosen = Secure(
        csp=policy,
        coop=CrossOriginOpenerPolicy().same_origin(),
        corp=CrossOriginResourcePolicy().same_origin(),
        permissions=PermissionsPolicy().camera().microphone().geolocation("self"),
        referrer=ReferrerPolicy().no_referrer(),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
    )
    return _encoded({**chosen.headers, **more})


def _encoded(headers: Mapping[str, str]) -> Headers:
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


_ANSWER: Final = _headers(_answers(), **{"Cache-Control": "no-store"})  # it may hold people's names and addresses
_PAGE: Final = _headers(_page())
_ONLY_TLS: Final = _encoded(
    {"Strict-Transport-Security": StrictTransportSecurity().max_age(_YEAR_S).include_subdomains().header_value}
)


def security_headers(path: str, scheme: str) -> Headers:
    """Return the headers of an answer for `path`."""
    found = _ANSWER if path.startswith("/api/") or path == "/metrics" else _PAGE
    return found + _ONLY_TLS if scheme == "https" else found


def with_headers(answer: list[tuple[bytes, bytes]], more: Headers) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers with those that it lacks of `more`."""
    named = {name for name, _ in answer}
    return [*answer, *(header for header in more if header[0] not in named)]
