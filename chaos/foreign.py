"""Rows in which somebody else publishes to the account while an init is unanswered.

For example a test system with the same TikTok app and account as production.
"""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

from app.domain.jobs.outcome import Fault
from app.domain.posts.post import Post, PrivacyLevel
from app.sandbox import posts
from app.sandbox.script import FaultRule
from app.sandbox.webhooks import sign
from app.service.tiktok_events import Receipt
from app.tiktok.values import InitTaken
from app.use_cases import UseCases
from chaos.cells import IN_DOUBT_NOT_POSTED, IN_DOUBT_POSTED, POSTED, Row, Script
from chaos.place import COMPRESSED, Place

GROUP: Final = "somebody else publishes"
FOREIGN: Final = "foreign"
COMPLETE: Final = "post.publish.complete"
FAILED: Final = "post.publish.failed"
OURS_IS_ALONE: Final = {"sole_publisher": True}


def rows() -> Iterator[Row]:
    """Return every row with a publish of somebody else, and two with our own."""
    for event in (COMPLETE, FAILED):
        for taken in (False, True):
            lost = "was taken" if taken else "was not taken"
            doubt = IN_DOUBT_POSTED if taken else IN_DOUBT_NOT_POSTED
            yield Row(
                group=GROUP,
                cause=f"theirs is `{event}`, our unanswered init {lost}",
                script=_told_of_theirs(event),
                ends=(doubt,),
                faults=(_unanswered(taken=taken),),
            )
    yield Row(
        group=GROUP,
        cause=f"nobody (`SOLE_PUBLISHER`), ours is `{COMPLETE}`",
        script=_told_of_ours,
        ends=(POSTED,),
        faults=(_unanswered(taken=True),),
        settings=OURS_IS_ALONE,
    )
    yield Row(
        group=GROUP,
        cause=f"nobody, but that is not said: ours is `{COMPLETE}`",
        script=_told_of_ours,
        ends=(IN_DOUBT_POSTED,),
        faults=(_unanswered(taken=True),),
    )


def _unanswered(*, taken: bool) -> dict[str, Any]:
    return {"call": "init", "fault": {"kind": "reset", "taken": taken}}


def _told_of_theirs(event: str) -> Script:
    async def script(place: Place) -> None:
        await place.worker()
        await place.over()
        if event == FAILED:
            fault = {"kind": "processing", "failReason": "frame_rate_check_failed"}
            rule = {"call": "init", "fault": fault, "match": {"title": FOREIGN}}
            place.world.tiktok.sandbox.script.add(FaultRule.model_validate(rule))
        publish_id = await _publish(place)
        await place.settled()
        (theirs,) = [post for post in place.posts if post.publish_id == publish_id]
        await _tell(place, event, theirs)

    return script


async def _told_of_ours(place: Place) -> None:
    await place.worker()
    await place.over()
    await place.settled()
    (ours,) = place.posts
    await _tell(place, COMPLETE, ours)


async def _publish(place: Place) -> str:
    """Publish to the account as another installation does."""
    container = place.container
    access = await container.grants.current(place.name, "tiktok", open_id=place.name)
    if isinstance(access, Fault):
        raise AssertionError(access)
    post = Post(privacy_level=PrivacyLevel.SELF_ONLY, title=FOREIGN)
    url = f"{place.world.tiktok.url}/_sandbox/video.mp4?n={FOREIGN}"
    async with container.tiktok.connect() as calls:
        answer = await calls.init(access.token, post, url)
    if not isinstance(answer, InitTaken):
        raise AssertionError(answer)
    return answer.publish_id


async def _tell(place: Place, event: str, post: posts.Post) -> None:
    """Deliver TikTok's event, and run the confirmation, as no worker runs now."""
    while place.workers:
        await place.workers.pop().kill()
    now = int(time.time())
    outer = {
        "client_key": COMPRESSED["tiktok_client_key"],
        "event": event,
        "create_time": now,
        "user_openid": post.open_id,
        "content": json.dumps({"publish_id": post.publish_id}),
    }
    body = json.dumps(outer).encode()
    secret = COMPRESSED["tiktok_client_secret"]
    signature = sign(body, secret=secret, timestamp=now)
    receipt = await UseCases(place.container).tiktok_events.receive(signature, body)
    if receipt is not Receipt.STORED:
        raise AssertionError(receipt)
    await place.container.confirmer.run_due(limit=20)
