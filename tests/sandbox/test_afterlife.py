"""Truths that come late: ids, drafts that end, posts that are taken down."""

import json
from typing import Any

import pytest

from tests.sandbox.receiver import Receiver
from tests.sandbox.support import INBOX, STATUS, VIDEOS, TikTok, code_of

COMPLETE = "post.publish.complete"
PUBLIC = "post.publish.publicly_available"
IDS = "publicaly_available_post_id"


async def draft(tiktok: TikTok) -> str:
    """Send a draft to the inbox."""
    body = {"source_info": tiktok.direct()["source_info"]}
    answer = await tiktok.post(INBOX, body)
    await tiktok.settled()
    publish_id: str = answer.json()["data"]["publish_id"]
    return publish_id


async def without_id(tiktok: TikTok) -> str:
    """Publish a public post that gets no id by itself."""
    await tiktok.fault("init", "processing", postIdNever=True)
    publish_id = await tiktok.taken()
    await tiktok.settled()
    return publish_id


async def test_a_public_post_can_stay_without_an_id(
    tiktok: TikTok, events: Receiver
) -> None:
    """PUBLISH_COMPLETE with an empty list, and no event about an id."""
    status = await tiktok.status(await without_id(tiktok))
    assert (status["status"], status[IDS]) == ("PUBLISH_COMPLETE", [])
    assert events.names == [COMPLETE]


@pytest.mark.parametrize(
    ("told_by", "by_status", "by_webhook"),
    [
        ("both", True, True),
        ("status", True, False),
        ("webhook", False, True),
        ("nobody", False, False),
    ],
)
async def test_an_id_can_come_later(
    tiktok: TikTok,
    events: Receiver,
    told_by: str,
    by_status: bool,
    by_webhook: bool,
) -> None:
    """An id can come by status calls, by webhook, by both or by neither."""
    publish_id = await without_id(tiktok)
    events.received.clear()
    answer = await tiktok.act(
        publish_id, "ids", postIds=["7602997517160123666"], toldBy=told_by
    )
    assert answer.json()["postIds"] == ["7602997517160123666"]
    await tiktok.settled()
    ids = (await tiktok.status(publish_id))[IDS]
    assert ids == ([7602997517160123666] if by_status else [])
    assert events.names == ([PUBLIC] if by_webhook else [])
    if by_webhook:
        assert events.received[0].content["post_id"] == "7602997517160123666"


async def test_ids_are_made_up_if_none_are_named(tiktok: TikTok) -> None:
    """As many ids as asked for are made up, each a number of 19 digits."""
    publish_id = await without_id(tiktok)
    await tiktok.act(publish_id, "ids", count=3)
    ids = (await tiktok.status(publish_id))[IDS]
    assert len(set(ids)) == 3
    assert {len(str(number)) for number in ids} == {19}


async def test_zero_can_be_told_as_an_id(tiktok: TikTok, events: Receiver) -> None:
    """A number that is no id, in both places."""
    publish_id = await without_id(tiktok)
    await tiktok.act(publish_id, "ids", postIds=[0])
    await tiktok.settled()
    assert (await tiktok.status(publish_id))[IDS] == [0]
    assert events.received[-1].content["post_id"] == "0"


@pytest.mark.parametrize("told_by", ["status", "webhook"])
async def test_an_init_can_say_who_tells_the_id(
    tiktok: TikTok, events: Receiver, told_by: str
) -> None:
    """Scripted with the init; several ids are told as one by one."""
    await tiktok.fault("init", "processing", postIds=2, idToldBy=told_by)
    publish_id = await tiktok.taken()
    await tiktok.settled()
    ids = (await tiktok.status(publish_id))[IDS]
    assert len(ids) == (2 if told_by == "status" else 0)
    assert sorted(events.names) == [COMPLETE, *[PUBLIC] * (2 - len(ids))]


async def test_a_draft_is_finished_by_its_person(
    tiktok: TikTok, events: Receiver
) -> None:
    """PUBLISH_COMPLETE with an id, and both events, of the type INBOX_SHARE."""
    publish_id = await draft(tiktok)
    events.received.clear()
    await tiktok.act(publish_id, "finish")
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    assert (status["status"], len(status[IDS])) == ("PUBLISH_COMPLETE", 1)
    assert sorted(events.names) == [COMPLETE, PUBLIC]
    assert {event.content["publish_type"] for event in events.received} == {
        "INBOX_SHARE"
    }


async def test_one_draft_can_become_several_posts(
    tiktok: TikTok, events: Receiver
) -> None:
    """Each adds its id; the event of completion repeats."""
    publish_id = await draft(tiktok)
    for _ in range(2):
        await tiktok.act(publish_id, "finish")
    await tiktok.settled()
    assert len(set((await tiktok.status(publish_id))[IDS])) == 2
    assert events.names.count(COMPLETE) == 2
    assert len((await tiktok.newest())["postIds"]) == 2


async def test_a_draft_can_be_finished_in_silence(
    tiktok: TikTok, events: Receiver
) -> None:
    """A private one has no id, and an event can be missing: status alone tells."""
    publish_id = await draft(tiktok)
    events.received.clear()
    await tiktok.act(publish_id, "finish", count=0, toldBy="status")
    await tiktok.settled()
    assert await tiktok.status(publish_id) == {
        "status": "PUBLISH_COMPLETE",
        "downloaded_bytes": 4096,
        IDS: [],
    }
    assert events.names == []


@pytest.mark.parametrize(
    ("more", "reason", "told"),
    [
        ({}, "publish_cancelled", True),
        ({"reason": "internal"}, "internal", True),
        ({"tell": False}, "publish_cancelled", False),
    ],
)
async def test_a_draft_can_be_discarded(
    tiktok: TikTok, events: Receiver, more: dict[str, Any], reason: str, told: bool
) -> None:
    """FAILED long after SEND_TO_USER_INBOX."""
    publish_id = await draft(tiktok)
    events.received.clear()
    await tiktok.act(publish_id, "discard", **more)
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    assert (status["status"], status["fail_reason"]) == ("FAILED", reason)
    assert events.names == (["post.publish.failed"] if told else [])


async def test_a_stuck_post_can_be_ended_by_hand(tiktok: TikTok) -> None:
    """Well or badly, long after everybody stopped to wait."""
    await tiktok.fault("init", "processing", stuck=True, rule={"times": 2})
    good, bad = await tiktok.taken(), await tiktok.taken()
    await tiktok.settled()
    await tiktok.act(good, "finish")
    await tiktok.act(bad, "fail", reason="internal")
    assert (await tiktok.status(good))["status"] == "PUBLISH_COMPLETE"
    assert (await tiktok.status(bad))["fail_reason"] == "internal"


@pytest.mark.parametrize("spelling", ["publicaly", "publicly"])
async def test_a_post_can_be_taken_down(
    tiktok: TikTok, events: Receiver, spelling: str
) -> None:
    """The event names the id; status goes on naming it; the list of videos does not."""
    publish_id = await tiktok.taken()
    await tiktok.settled()
    events.received.clear()
    answer = await tiktok.act(publish_id, "withdraw", spelling=spelling)
    assert answer.json()["withdrawn"] is True
    await tiktok.settled()
    (received,) = events.received
    assert received.event["event"] == f"post.publish.no_longer_{spelling}_available"
    post = await tiktok.newest()
    assert received.content["post_id"] == post["postId"]
    assert (await tiktok.status(publish_id))[IDS] == [int(post["postId"])]
    listed = await tiktok.post(VIDEOS + "?fields=id", {})
    assert listed.json()["data"]["videos"] == []


async def test_a_withdrawn_post_can_lose_its_id(
    tiktok: TikTok, events: Receiver
) -> None:
    """Then status names none any more, and the event may name another, or be lost."""
    publish_id = await tiktok.taken()
    await tiktok.settled()
    events.received.clear()
    await tiktok.act(publish_id, "withdraw", statusKeepsId=False, tell=False)
    assert (await tiktok.status(publish_id))[IDS] == []
    await tiktok.act(publish_id, "withdraw", postId="7602997517160123666")
    await tiktok.settled()
    (received,) = events.received
    assert received.content["post_id"] == "7602997517160123666"


async def test_a_reason_can_stand_beside_processing(tiktok: TikTok) -> None:
    """The publish goes on, for ever, and status tells what is wrong already."""
    await tiktok.fault(
        "init", "processing", stuck=True, shownReason="picture_size_check_failed"
    )
    publish_id = await tiktok.taken()
    await tiktok.settled()
    status = await tiktok.status(publish_id)
    assert status == {
        "status": "PROCESSING_DOWNLOAD",
        "downloaded_bytes": 4096,
        "fail_reason": "picture_size_check_failed",
    }


async def test_another_word_can_stand_for_processing(tiktok: TikTok) -> None:
    """Plain PROCESSING, or one that a later version invents; the end is the usual."""
    await tiktok.settings(processingSeconds=3600)
    await tiktok.fault("init", "processing", shownStatus="PROCESSING")
    publish_id = await tiktok.taken()
    assert (await tiktok.status(publish_id))["status"] == "PROCESSING"
    await tiktok.act(publish_id, "finish")
    assert (await tiktok.status(publish_id))["status"] == "PUBLISH_COMPLETE"


async def test_a_publish_id_can_be_unknown_for_ever(tiktok: TikTok) -> None:
    """Scripted by the post's title: only status calls about it are struck."""
    rule = {"times": None, "match": {"title": "Lost"}}
    await tiktok.fault("status", "error", code="invalid_publish_id", rule=rule)
    lost, known = await tiktok.taken(title="Lost"), await tiktok.taken()
    verdicts = [
        code_of(await tiktok.post(STATUS, {"publish_id": publish_id}))
        for publish_id in (lost, known, lost)
    ]
    assert verdicts == ["invalid_publish_id", "ok", "invalid_publish_id"]


async def test_a_single_post_can_be_read(tiktok: TikTok) -> None:
    """By its publish_id; an unknown one is 404, and so is an unknown act."""
    publish_id = await tiktok.taken()
    answer = await tiktok.http.get(f"/_sandbox/posts/{publish_id}")
    assert answer.json()["publishId"] == publish_id
    assert (await tiktok.http.get("/_sandbox/posts/nobodys")).status_code == 404
    assert (await tiktok.act("nobodys", "finish")).status_code == 404
    assert (await tiktok.act(publish_id, "explode")).status_code == 404


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("finish", {"count": -1}),
        ("ids", {"toldBy": "carrier pigeon"}),
        ("fail", {}),
        ("withdraw", {"spelling": "publically"}),
        ("discard", {"why": "x"}),
    ],
)
async def test_nonsense_about_a_post_is_refused(
    tiktok: TikTok, act: str, body: dict[str, Any]
) -> None:
    """422, and the post stays as it is."""
    publish_id = await tiktok.taken()
    await tiktok.settled()
    before = await tiktok.newest()
    assert (await tiktok.act(publish_id, act, **body)).status_code == 422
    assert await tiktok.newest() == before


async def test_any_event_can_be_sent(tiktok: TikTok, events: Receiver) -> None:
    """Any event can be sent, with any content, about anybody, rightly signed."""
    answer = await tiktok.http.post(
        "/_sandbox/events",
        json={
            "event": "post.publish.invented",
            "openId": "-000stranger",
            "content": {"publish_id": "v_pub_url~v2.1", "post_id": "7"},
            "duplicate": True,
        },
    )
    assert answer.status_code == 204
    await tiktok.settled()
    first, second = events.received
    assert first.body == second.body
    assert (first.event["event"], first.event["user_openid"]) == (
        "post.publish.invented",
        "-000stranger",
    )
    assert json.loads(first.event["content"]) == {
        "publish_id": "v_pub_url~v2.1",
        "post_id": "7",
    }


@pytest.mark.parametrize("bad", [False, True])
async def test_an_event_can_be_signed_by_somebody_else(
    tiktok: TikTok, events: Receiver, bad: bool
) -> None:
    """The same body under a signature that only another secret would make."""
    body = {"event": COMPLETE, "badSignature": bad}
    await tiktok.http.post("/_sandbox/events", json=body)
    await tiktok.settled()
    assert events.received[0].signed_with("sandbox_secret") is not bad


async def test_an_event_needs_somewhere_to_go(tiktok: TikTok) -> None:
    """Without webhookUrl it is refused, instead of being lost in silence."""
    answer = await tiktok.http.post("/_sandbox/events", json={"event": COMPLETE})
    assert answer.status_code == 409
    assert "webhookUrl" in answer.json()["detail"]
