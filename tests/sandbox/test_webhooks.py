"""TikTok's events, as a callback URL receives them."""

import json

import pytest

from tests.sandbox.receiver import Received, Receiver
from tests.sandbox.support import (
    CREATOR,
    INBOX,
    REVOKE,
    HandClock,
    TikTok,
    code_of,
)

COMPLETE = "post.publish.complete"
PUBLIC = "post.publish.publicly_available"


def timestamp_of(received: Received, *, secret: str = "sandbox_secret") -> int:
    """Check the signature over the raw body, and give its time."""
    assert received.signed_with(secret)
    time, _, _ = received.headers["tiktok-signature"].partition(",")
    return int(time.removeprefix("t="))


async def test_a_public_post_tells_twice(
    tiktok: TikTok, events: Receiver, clock: HandClock
) -> None:
    """Complete without an id, then publicly available with the id as a string."""
    publish_id = await tiktok.taken()
    await tiktok.settled()
    told = {received.event["event"]: received for received in events.received}
    assert sorted(told) == [COMPLETE, PUBLIC]
    assert told[COMPLETE].event == {
        "client_key": "sandbox_key",
        "event": COMPLETE,
        "create_time": int(clock.seconds),
        "user_openid": "sandbox_user",
        "content": json.dumps(
            {"publish_id": publish_id, "publish_type": "DIRECT_PUBLISH"}
        ),
    }
    (post,) = await tiktok.read("posts")
    assert told[PUBLIC].content == {
        "publish_id": publish_id,
        "publish_type": "DIRECT_PUBLISH",
        "post_id": post["postId"],
    }


async def test_an_event_is_signed_over_its_raw_body(
    tiktok: TikTok, events: Receiver, clock: HandClock
) -> None:
    """HMAC-SHA256 with the client secret over time, dot and body."""
    await tiktok.settings(clientSecret="another")
    await tiktok.taken(privacy_level="SELF_ONLY")
    await tiktok.settled()
    (received,) = events.received
    assert timestamp_of(received, secret="another") == int(clock.seconds)
    assert received.headers["content-type"] == "application/json"


async def test_a_failed_post_tells_its_reason(tiktok: TikTok, events: Receiver) -> None:
    """The reason is what status calls fail_reason."""
    await tiktok.fault("init", "processing", failReason="spam_risk_text")
    publish_id = await tiktok.taken()
    await tiktok.settled()
    (received,) = events.received
    assert received.event["event"] == "post.publish.failed"
    assert received.content == {
        "publish_id": publish_id,
        "publish_type": "DIRECT_PUBLISH",
        "reason": "spam_risk_text",
    }


async def test_a_draft_tells_of_its_delivery(tiktok: TikTok, events: Receiver) -> None:
    """Drafts are of the type INBOX_SHARE."""
    await tiktok.post(INBOX, {"source_info": tiktok.direct()["source_info"]})
    await tiktok.settled()
    (received,) = events.received
    assert received.event["event"] == "post.publish.inbox_delivered"
    assert received.content["publish_type"] == "INBOX_SHARE"


async def test_removed_access_is_told(tiktok: TikTok, events: Receiver) -> None:
    """Reason 5 if the app revoked, 1 if the user disconnected."""
    await tiktok.form(REVOKE, token="act.sandbox")
    await tiktok.settled()
    await tiktok.account(openId="sandbox_user")
    await tiktok.http.post("/_sandbox/accounts/sandbox_user/disconnect")
    await tiktok.settled()
    assert events.names == ["authorization.removed"] * 2
    assert [received.content for received in events.received] == [
        {"reason": 5},
        {"reason": 1},
    ]
    assert events.received[0].event["user_openid"] == "sandbox_user"


@pytest.mark.parametrize("reason", range(6))
async def test_access_is_removed_for_a_reason(
    tiktok: TikTok, events: Receiver, reason: int
) -> None:
    """Unknown, disconnected, deleted, age, banned, developer: the grant is dead."""
    path = "/_sandbox/accounts/sandbox_user/disconnect"
    answer = await tiktok.http.post(path, json={"reason": reason})
    assert answer.status_code == 204
    await tiktok.settled()
    assert [received.content for received in events.received] == [{"reason": reason}]
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"


@pytest.mark.parametrize(
    ("body", "alive", "told"),
    [({"keepGrant": True}, True, 1), ({"tell": False}, False, 0)],
)
async def test_a_removal_and_its_event_can_come_apart(
    tiktok: TikTok, events: Receiver, body: dict[str, bool], alive: bool, told: int
) -> None:
    """Told about a grant that lives again, or dead without a word."""
    path = "/_sandbox/accounts/sandbox_user/disconnect"
    await tiktok.http.post(path, json=body)
    await tiktok.settled()
    assert len(events.received) == told
    assert (code_of(await tiktok.post(CREATOR)) == "ok") is alive


async def test_a_reason_that_nobody_knows_is_refused(tiktok: TikTok) -> None:
    """0 to 5 are all there are."""
    path = "/_sandbox/accounts/sandbox_user/disconnect"
    assert (await tiktok.http.post(path, json={"reason": 6})).status_code == 422


async def test_anything_but_200_is_delivered_again(
    tiktok: TikTok, events: Receiver
) -> None:
    """Until it is 200; the body stays the same."""
    events.statuses += [500, 204, 301]
    await tiktok.taken(privacy_level="SELF_ONLY")
    await tiktok.settled()
    assert len({received.body for received in events.received}) == 1
    deliveries = await tiktok.read("webhooks")
    assert [(d["attempt"], d["httpStatus"]) for d in deliveries] == [
        (1, 500),
        (2, 204),
        (3, 301),
        (4, 200),
    ]
    assert deliveries[0]["event"] == COMPLETE
    assert deliveries[0]["publishId"] == (await tiktok.read("posts"))[0]["publishId"]


async def test_nobody_at_the_callback_is_given_up(tiktok: TikTok) -> None:
    """After so many tries the event is dropped."""
    await tiktok.settings(webhookUrl="http://127.0.0.1:1/", webhookAttempts=2)
    await tiktok.taken(privacy_level="SELF_ONLY")
    await tiktok.settled()
    deliveries = await tiktok.read("webhooks")
    assert [delivery["httpStatus"] for delivery in deliveries] == [None, None]


async def test_an_event_can_come_twice(tiktok: TikTok, events: Receiver) -> None:
    """The repeat is the very same event."""
    await tiktok.fault("init", "webhook", duplicate=True)
    await tiktok.taken(privacy_level="SELF_ONLY")
    await tiktok.settled()
    first, second = events.received
    assert first.body == second.body


async def test_an_event_can_be_signed_long_ago(
    tiktok: TikTok, events: Receiver, clock: HandClock
) -> None:
    """The signature is right, its time is an hour old."""
    await tiktok.fault("init", "webhook", stale=True)
    await tiktok.taken(privacy_level="SELF_ONLY")
    await tiktok.settled()
    assert timestamp_of(events.received[0]) == int(clock.seconds) - 3600


async def test_an_event_can_be_lost(tiktok: TikTok, events: Receiver) -> None:
    """Only the events that are named are."""
    await tiktok.fault("init", "webhook", drop=True, events=[COMPLETE])
    await tiktok.taken()
    await tiktok.settled()
    assert events.names == [PUBLIC]


async def test_events_can_come_in_the_wrong_order(
    tiktok: TikTok, events: Receiver
) -> None:
    """Delaying the first puts it behind the second."""
    await tiktok.fault("init", "webhook", delaySeconds=0.3, events=[COMPLETE])
    await tiktok.taken()
    await tiktok.settled()
    assert events.names == [PUBLIC, COMPLETE]


async def test_the_fault_of_a_revocation_shapes_its_event(
    tiktok: TikTok, events: Receiver
) -> None:
    """The event that tells of it can be lost, too."""
    await tiktok.fault("revoke", "webhook", drop=True)
    await tiktok.form(REVOKE, token="act.sandbox")
    await tiktok.settled()
    assert events.received == []


async def test_without_a_callback_nothing_is_sent(tiktok: TikTok) -> None:
    """An app that told no URL hears nothing."""
    await tiktok.taken()
    await tiktok.settled()
    assert await tiktok.read("webhooks") == []
