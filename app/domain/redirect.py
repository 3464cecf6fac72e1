"""Which addresses a browser may be redirected to: pages of our own frontends only.

A redirect to any address (an open redirect) lends our name to phishing.
https://datatracker.ietf.org/doc/html/rfc9700#section-4.11
"""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlencode, urlsplit

MAX_URL_LENGTH: Final = 2048

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def problem_with_redirect(url: str, *, origins: Collection[str]) -> str | None:
    """Return why a browser must not be sent there, None if it may.

    ``origins`` are exact; a wildcard matches no origin.
    """
    if len(url) > MAX_URL_LENGTH:
        return f"must have at most {MAX_URL_LENGTH} characters"
    # Browsers drop tabs and line breaks and read a backslash as a slash, so they may
    # see another host in it than we do.
    if "\\" in url or any(not "!" <= character <= "~" for character in url):
        return "must be ASCII without whitespace, control characters or backslashes"
    origin = _origin_of(url)
    if origin is None:
        return "must be an http or https address without a user name"
    if origin not in {_origin_of(each) for each in origins}:
        return "must be on one of the origins in CORS_ORIGINS"
    return None


def with_query(url: str, **more: str) -> str:
    """Return the address with parameters added to its query."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(more))))
    return parts._replace(query=query).geturl()


def _origin_of(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if port is None or not parts.hostname or {"@", "*"} & set(parts.netloc):
        return None
    return parts.scheme, parts.hostname, port
