"""Which hosts bytes may be sent to, whatever host an answer names. Pure."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

TIKTOK_UPLOAD_HOSTS: Final = ("*.tiktokapis.com",)
"""TikTok uses one upload host per region.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def problem_with_host_rule(rule: str) -> str | None:
    """Return why a rule is not accepted, None if it is.

    A rule is ``host``, which means any port, or ``host:port``; ``*.example.com`` means
    every host below that domain.
    """
    try:
        host, port = _split(rule)
    except ValueError:
        return "must be host or host:port"
    bare = host.removeprefix("*.")
    if not bare or "/" in rule or "@" in rule or "*" in bare:
        return "must be host or host:port, without scheme or path"
    return None if port is None or port > 0 else "has no port 0"


def problem_with_upload_url(
    url: str, rules: Sequence[str], *, allow_http: bool = False
) -> str | None:
    """Return why an upload URL must not be used, None if it may; quotes no token."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "is no valid URL"
    schemes = {"https", "http"} if allow_http else {"https"}
    if parts.scheme not in schemes or not parts.hostname or port is None:
        return "is no https URL"
    if not _is_plain(url, parts):
        return "is no URL that can be sent as it is"
    if not any(_fits(parts.hostname, port, rule) for rule in rules):
        return f"is on {parts.hostname}:{port}, which UPLOAD_HOSTS does not name"
    return None


def _is_plain(url: str, parts: SplitResult) -> bool:
    odd = "@" in parts.netloc or "\\" in url or " " in url
    return url.isascii() and url.isprintable() and not odd


def _fits(host: str, port: int, rule: str) -> bool:
    wanted, only = _split(rule)
    if only is not None and only != port:
        return False
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
    return host == wanted


def _split(rule: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{rule.strip()}")
    return (parts.hostname or "", parts.port)
