"""When a signed URL stops working, as far as the URL itself tells. Pure.

A URL that says nothing, or nothing for certain, has no end here.
"""

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error as BadBase64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

_UNIX: Final = re.compile(r"[12]\d{9}", re.ASCII)  # seconds, from 2001 to 2065
_UNIX_NAMES: Final = ("expires", "expiry", "exp", "x-expires")
_STAMP: Final = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_AZURE: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z)?", re.ASCII
)
_LIFETIME: Final = re.compile(r"\d{1,9}", re.ASCII)

_Query = Mapping[str, str]


def signed_until(url: str) -> datetime | None:
    """Return when a URL's own signature ends, None if it names no end."""
    if "?" not in url:
        return None
    query: dict[str, str] = {}
    for name, value in parse_qsl(urlsplit(url).query):
        query.setdefault(name.lower(), value)
    ends = [end for find in _FORMS if (end := find(query)) is not None]
    return min(ends, default=None)


def _dated(prefix: str) -> Callable[[_Query], datetime | None]:
    """Read a signature of a date and a number of seconds.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    https://cloud.google.com/storage/docs/authentication/canonical-requests
    """

    def find(query: _Query) -> datetime | None:
        signed = query.get(f"{prefix}date", "")
        lives = query.get(f"{prefix}expires", "")
        if not _STAMP.fullmatch(signed) or not _LIFETIME.fullmatch(lives):
            return None
        try:
            begin = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return begin + timedelta(seconds=int(lives))
        except (ValueError, OverflowError):
            return None

    return find


def _unix(query: _Query) -> datetime | None:
    """Read a Unix time, as S3's older form, CloudFront and most CDNs have it.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html
    """
    values = (query.get(name, "") for name in _UNIX_NAMES)
    found = (value for value in values if _UNIX.fullmatch(value))
    return _moment(next(found, None))


def _azure(query: _Query) -> datetime | None:
    """Read the end of a shared access signature.

    https://learn.microsoft.com/en-us/rest/api/storageservices/create-service-sas
    """
    told = query.get("se", "")
    if not _AZURE.fullmatch(told):
        return None
    try:
        end = datetime.fromisoformat(told)
    except ValueError:
        return None
    return end.replace(tzinfo=UTC)


def _policy(query: _Query) -> datetime | None:
    """Read CloudFront's policy of one's own: the earliest of its ends.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-custom-policy.html
    """
    if "policy" not in query or "key-pair-id" not in query:
        return None
    policy = _json(query["policy"].translate(str.maketrans("-_~", "+=/")))
    try:
        ends = [
            each["Condition"]["DateLessThan"]["AWS:EpochTime"]
            for each in policy["Statement"]
        ]
    except (KeyError, TypeError):
        return None
    return min(filter(None, map(_moment, ends)), default=None)


def _web_token(query: _Query) -> datetime | None:
    """Read the end of a JSON Web Token that stands in the URL. RFC 7519, 4.1.4."""
    header, _, rest = query.get("token", "").partition(".")
    body, _, signature = rest.partition(".")
    if not header.startswith("eyJ") or not signature:
        return None
    claims = _json(body)
    return _moment(claims.get("exp")) if isinstance(claims, dict) else None


def _json(encoded: str) -> Any:  # noqa: ANN401  whatever is in there
    text = encoded.replace("+", "-").replace("/", "_").rstrip("=")
    try:
        return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (BadBase64, ValueError, RecursionError):
        return None


def _moment(seconds: object) -> datetime | None:
    """Return a Unix time as a moment, None for what is none."""
    text = str(seconds)
    return datetime.fromtimestamp(int(text), UTC) if _UNIX.fullmatch(text) else None


_FORMS: Final = (
    _dated("x-amz-"),
    _dated("x-goog-"),
    _dated("x-oss-"),
    _unix,
    _azure,
    _policy,
    _web_token,
)
