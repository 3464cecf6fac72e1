"""POST /webhooks/tiktok: what TikTok is answered."""

import json
from collections.abc import AsyncIterator
from typing import Final

import pytest
from sqlalchemy import func, select, text

from app.sandbox.webhooks import sign
from app.store.accounts.tables import accounts
from app.store.jobs.tables import tiktok_events
from tests.api.serving import Api, serving
from tests.support.factories import NOW

SECRET: Final = "a-client-secret"
APP: Final = {"tiktok_client_key": "key", "tiktok_client_secret": SECRET}
SIGNED_AT: Final = int(NOW.timestamp())
PATH: Final = "/webhooks/tiktok"


@pytest.fixture
async def hooked(database_url: str) -> AsyncIterator[Api]:
    """Serve an app that TikTok knows."""
    async with serving(database_url, **APP) as running:
        yield running


def event(**changes: object) -> bytes:
    """Write an event."""
    outer = {
        "client_key": "key",
        "event": "post.publish.complete",
        "create_time": SIGNED_AT,
        "user_openid": "open_1",
        "content": json.dumps({"publish_id": "pub_1"}),
    }
    return json.dumps(outer | changes).encode()


async def told(
    api: Api,
    body: bytes,
    signature: str | None = None,
    *,
    name: str = "TikTok-Signature",
) -> tuple[int, str]:
    """Deliver a body without any API key; return the status and the code, if any."""
    signature = signature or sign(body, secret=SECRET, timestamp=SIGNED_AT)
    async with api.stranger(**{name: signature}) as client:
        answer = await client.post(PATH, content=body)
    return answer.status_code, answer.json().get("code", "")


async def kept(api: Api) -> int:
    """Count the events."""
    async with api.database.read() as connection:
        count = await connection.execute(select(func.count(tiktok_events.c.id)))
        return count.scalar_one()


async def test_a_signed_event_is_stored_once(hooked: Api) -> None:
    """A repeat is answered like the first, or TikTok would repeat it for days."""
    for name in ("TikTok-Signature", "tiktok-signature", "TIKTOK-SIGNATURE"):
        assert await told(hooked, event(), name=name) == (200, "")
    assert await kept(hooked) == 1


async def test_spaces_in_the_signature_are_no_matter(hooked: Api) -> None:
    """Spaces in the signature's header are trimmed."""
    signature = sign(event(), secret=SECRET, timestamp=SIGNED_AT)
    assert await told(hooked, event(), signature.replace(",", " , ")) == (200, "")


async def test_an_old_signature_is_good(hooked: Api) -> None:
    """TikTok repeats for 72 hours and does not say whether it signs anew."""
    signature = sign(event(), secret=SECRET, timestamp=SIGNED_AT - 3 * 86_400)
    assert await told(hooked, event(), signature) == (200, "")
    assert await kept(hooked) == 1


async def test_what_tiktok_did_not_sign_is_refused(hooked: Api) -> None:
    """Nothing is kept of an event that TikTok did not sign."""
    good = sign(event(), secret=SECRET, timestamp=SIGNED_AT)
    for body, signature in (
        (event(), sign(event(), secret="another", timestamp=SIGNED_AT)),
        (event(), "t=,s="),
        (event(), good[:-1]),
        (event()[:-1], good),
        (event() + b"\n", good),
        (event(client_key="another"), None),
    ):
        assert await told(hooked, body, signature) == (401, "bad_signature")
    async with hooked.stranger() as client:
        unsigned = await client.post(PATH, content=event())
    assert unsigned.status_code == 401
    assert unsigned.headers["content-type"] == "application/problem+json"
    assert await kept(hooked) == 0


async def test_what_cannot_be_read_is_stored_if_it_is_signed(hooked: Api) -> None:
    """A second delivery of the same bytes would not be better."""
    for body in (b"{", b"\xff\x00", b"", b"5", event(content="{")):
        assert await told(hooked, body) == (200, "")
    assert await kept(hooked) == 5


async def test_a_body_has_the_limit_of_all_bodies(hooked: Api) -> None:
    """64 KiB, whoever signed it."""
    body = event(content="x" * 65_536)
    assert await told(hooked, body) == (413, "body_too_large")


async def test_without_the_secret_nobody_is_believed(edge: Api) -> None:
    """Without the client secret it is 503, so that TikTok sends it again."""
    assert await told(edge, event()) == (503, "webhooks_not_configured")


async def test_without_the_database_tiktok_comes_again(sqlite_url: str) -> None:
    """No event is answered 200 that is not stored."""
    async with serving(sqlite_url, **APP) as api:
        async with api.database.write() as connection:
            await connection.execute(text("ALTER TABLE tiktok_events RENAME TO away"))
        assert await told(api, event()) == (503, "database_unavailable")
        async with api.database.write() as connection:
            await connection.execute(text("ALTER TABLE away RENAME TO tiktok_events"))
        assert await told(api, event()) == (200, "")
        assert await kept(api) == 1


async def test_removed_access_is_a_hint(hooked: Api) -> None:
    """Nobody loses an account by TikTok's word alone: it is to be checked."""
    account = {
        "openId": "open_1",
        "accessToken": "act.1",
        "refreshToken": "rft.1",
        "expiresIn": 7200,
        "refreshExpiresIn": 86_400,
        "scope": "video.publish",
    }
    path = "/v1/projects/proj_1/accounts/tiktok"
    assert (await hooked.client.put(path, json=account)).status_code == 201
    body = event(event="authorization.removed", content='{"reason": 1}')
    assert await told(hooked, body) == (200, "")
    shown = (await hooked.client.get(path)).json()
    assert shown["status"] == "active"
    due = select(accounts.c.removal_check_at, accounts.c.removal_reason)
    async with hooked.database.read() as connection:
        (row,) = (await connection.execute(due)).all()
    assert row.removal_check_at is not None
    assert row.removal_reason == "removed_by_person"
