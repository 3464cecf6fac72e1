"""Which asset URLs are accepted: public host names over https.

TikTok pulls the video itself, and takes https from a host name only:
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

import re
import unicodedata
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

MAX_URL_LENGTH: Final = 2048
MAX_HOST_LENGTH: Final = 253

_SAFE: Final = "!$%&'()*+,/:;=?@-._~[]"
_PRIVATE_SUFFIXES: Final = ("localhost", "local", "internal", "home.arpa")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# An IPv4 address ends in a label with a digit in every spelling that resolvers take
# (127.1, 0x7f000001, 2130706433); no top-level domain does.
_TOP_LEVEL: Final = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{1,59}")
_DOTS: Final = re.compile(r"[.\u3002\uff0e\uff61]")
_KEPT: Final = frozenset("ß\u03c2")
"""Letters that Python's IDNA of 2003 replaces: straße.de would become strasse.de, which
is another host. RFC 5894, section 7.2"""
_JOINERS: Final = frozenset("\u200c\u200d")
"""Invisible characters that it drops, with the same result."""


MAX_UNSEEN_URL_LENGTH: Final = 8192
"""The limit for URLs that TikTok never sees: behind the media gateway, or pushed."""


def problem_with_url(
    url: str, *, allow_private: bool = False, longest: int = MAX_URL_LENGTH
) -> str | None:
    """Return why a URL is not accepted, None if it is.

    ``allow_private`` accepts http, IP addresses and loopback, for tests and the demo.
    """
    if len(url) > longest:
        return f"must have at most {longest} characters"
    # Parsers disagree about a backslash: browsers read it as a slash.
    if "\\" in url or " " in url or not url.isprintable():
        return "must not contain spaces (write %20), control characters or backslashes"
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is no valid URL"
    if not _has_possible_port(parts):
        return "must have a port from 1 to 65535, or none"
    return _problem_with_parts(parts, allow_private=allow_private)


def ascii_url(url: str) -> str:
    """Return a URL as it is sent: percent-encoded, its host in IDNA.

    Raises ValueError if it has no such form.
    """
    if url.isascii():
        return url
    try:
        parts = urlsplit(url)
        host, at, place = parts.netloc.rpartition("@")[2].partition(":")
        name = ".".join(_ascii_label(label) for label in _DOTS.split(host))
        rest = (quote(part, safe=_SAFE) for part in (parts.path, parts.query))
    except ValueError:  # its text would quote the host
        raise ValueError("has no form in ASCII") from None
    path, query = rest
    user = "@" if "@" in parts.netloc else ""  # refused later
    return urlunsplit((parts.scheme, f"{user}{name}{at}{place}", path, query, ""))


def _ascii_label(label: str) -> str:
    """Return a part of a host in IDNA; raises UnicodeError."""
    if not _JOINERS.isdisjoint(label):
        raise UnicodeError
    small = unicodedata.normalize("NFC", label.lower())
    if _KEPT.isdisjoint(small):
        return label.encode("idna").decode("ascii")
    return f"xn--{small.encode('punycode').decode('ascii')}"


def _has_possible_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _problem_with_parts(parts: SplitResult, *, allow_private: bool) -> str | None:
    schemes = {"http", "https"} if allow_private else {"https"}
    if parts.scheme not in schemes:
        written = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        return f"must begin with {written}"
    if "@" in parts.netloc:
        return "must not contain a user name or password"
    if not parts.hostname:
        return "needs a host"
    if allow_private or _is_public(parts.hostname):
        return None
    return "needs a public host name, not an address or a local name"


def _is_public(host: str) -> bool:
    name = _ascii_name(host)
    if name is None:
        return False
    *labels, top = name.split(".")
    return (
        bool(labels)
        and all(_LABEL.fullmatch(label) for label in labels)
        and _TOP_LEVEL.fullmatch(top) is not None
        and all(map(_can_be_read, (*labels, top)))
        and not any(f".{name}".endswith(f".{end}") for end in _PRIVATE_SUFFIXES)
    )


def _ascii_name(host: str) -> str | None:
    """Return the name as resolvers see it, wide digits and dots made plain."""
    if len(host) > MAX_HOST_LENGTH:
        return None
    try:
        return host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None


def _can_be_read(label: str) -> bool:
    """Tell whether a label, if it is in punycode, stands for another one."""
    if not label.startswith("xn--"):
        return True
    try:
        return not label[4:].encode("ascii").decode("punycode").isascii()
    except UnicodeError:
        return False
