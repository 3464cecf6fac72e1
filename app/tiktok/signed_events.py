"""Verify the signatures of TikTok's webhooks, and read their bodies. Pure."""

import hmac
import json
from hashlib import sha256
from typing import Final

from app.domain.accounts.account import RemovalReason
from app.domain.tiktok_event import EventKind, TikTokEvent, event_kind
from app.tiktok.fields import (
    Json,
    identifier,
    integer,
    json_object,
    moment,
    post_identifier,
)
from app.tiktok.text import clean, well_formed

UNREADABLE: Final = "unreadable"

_MAX_NAME_LENGTH: Final = 100
_MAX_DIGITS: Final = 11  # keeps a time within the calendar

_REMOVALS: Final = {
    1: RemovalReason.BY_PERSON,
    2: RemovalReason.DELETED,
    3: RemovalReason.AGE,
    4: RemovalReason.BANNED,
    5: RemovalReason.BY_DEVELOPER,
}


def signed_at(header: str, body: bytes, *, secret: str) -> int | None:
    """Return when a body was signed, in seconds since 1970; None if it was not.

    ``header`` is TikTok-Signature, ``t=<seconds>,s=<hex>``; the body must be unchanged.
    https://developers.tiktok.com/doc/webhooks-verification
    """
    fields = dict(_pair(part) for part in header.split(","))
    at, given = fields.get("t", ""), fields.get("s", "")
    if not (at.isascii() and at.isdigit() and len(at) <= _MAX_DIGITS):
        return None
    message = at.encode() + b"." + body
    expected = hmac.new(secret.encode(), message, sha256).hexdigest()
    # As bytes: compare_digest refuses text that is not ASCII.
    same = hmac.compare_digest(
        expected.encode(), given.lower().encode("utf-8", "replace")
    )
    return int(at) if same else None


def read_event(body: bytes) -> TikTokEvent:
    """Read as much of an event as there is; never raises.

    A body that is no event gets the name ``unreadable``, so that it is stored, too.
    """
    outer = json_object(body) or {}
    name = _name(outer.get("event"))
    content = _content(outer.get("content"))
    created_at = moment(outer.get("create_time"))
    publish_id = identifier(content.get("publish_id"))
    post_id = post_identifier(content.get("post_id"))
    open_id = identifier(outer.get("user_openid")) or ""
    kind = event_kind(name)
    which = post_id or (created_at and created_at.isoformat())
    named = publish_id is not None or kind is EventKind.ACCESS_REMOVED
    return TikTokEvent(
        name=name,
        kind=kind,
        client_key=identifier(outer.get("client_key")),
        open_id=open_id,
        created_at=created_at,
        publish_id=publish_id,
        post_id=post_id,
        removal=_removal(kind, content),
        dedup_key=_digest(
            json.dumps([name, open_id, publish_id, which]).encode()
            if named and which
            else body  # without a name only an equal body is the same event
        ),
        body=well_formed(body.decode("utf-8", "replace")),
    )


def _pair(part: str) -> tuple[str, str]:
    key, _, value = part.partition("=")
    return key.strip().lower(), value.strip()


def _name(value: object) -> str:
    text = clean(value, limit=_MAX_NAME_LENGTH) if isinstance(value, str) else ""
    return text or UNREADABLE


def _removal(kind: EventKind | None, content: Json) -> RemovalReason | None:
    """Read why access was removed.

    https://developers.tiktok.com/doc/webhooks-events
    """
    if kind is not EventKind.ACCESS_REMOVED:
        return None
    return _REMOVALS.get(integer(content.get("reason")) or 0, RemovalReason.UNKNOWN)


def _content(value: object) -> Json:
    """Read the content, a string of JSON."""
    if isinstance(value, str):
        return json_object(value) or {}
    return value if isinstance(value, dict) else {}


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
