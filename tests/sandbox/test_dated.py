"""The Date header, by which a caller can tell how far its clock is off."""

from email.utils import formatdate, parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.sandbox.support import CREATOR, TOKEN, HandClock, TikTok, code_of


def seconds_of(answer: httpx.Response) -> float:
    """Read the Date header as epoch seconds."""
    return parsedate_to_datetime(answer.headers["date"]).timestamp()


async def test_every_answer_is_dated_once(tiktok: TikTok, clock: HandClock) -> None:
    """Every answer has one Date, by the simulator's own clock."""
    clock.seconds += 3.7
    answers = [
        await tiktok.post(CREATOR),
        await tiktok.form(TOKEN),
        await tiktok.http.get("/_sandbox/video.mp4"),
        await tiktok.http.put("/video/"),
        await tiktok.http.get("/nowhere"),
    ]
    for answer in answers:
        assert answer.headers.get_list("date") == [formatdate(clock(), usegmt=True)]


async def test_tiktoks_clock_can_be_ahead_or_behind(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Every answer's Date can be shifted, until it is set right again."""
    for shift in (-3600, 86_400, 0):
        await tiktok.settings(dateShiftSeconds=shift)
        assert seconds_of(await tiktok.post(CREATOR)) == clock.seconds + shift


async def test_a_single_answer_can_be_misdated(
    tiktok: TikTok, clock: HandClock
) -> None:
    """A single answer's Date can be shifted besides the general shift."""
    await tiktok.settings(dateShiftSeconds=10)
    await tiktok.fault("creator_info", "date", shiftSeconds=100)
    assert seconds_of(await tiktok.init()) == clock.seconds + 10
    assert seconds_of(await tiktok.post(CREATOR)) == clock.seconds + 110
    assert seconds_of(await tiktok.post(CREATOR)) == clock.seconds + 10


@pytest.mark.parametrize(
    ("fault", "values"),
    [({"omit": True}, []), ({"value": "yesterday, at tea"}, ["yesterday, at tea"])],
)
async def test_a_date_can_be_missing_or_nonsense(
    tiktok: TikTok, fault: dict[str, Any], values: list[str]
) -> None:
    """The answer itself is true."""
    await tiktok.fault("creator_info", "date", **fault)
    answer = await tiktok.post(CREATOR)
    assert answer.headers.get_list("date") == values
    assert code_of(answer) == "ok"


async def test_an_error_can_be_misdated_too(tiktok: TikTok, clock: HandClock) -> None:
    """The date meets other faults in one call."""
    await tiktok.fault("creator_info", "date", shiftSeconds=60)
    await tiktok.fault("creator_info", "rate_limit")
    answer = await tiktok.post(CREATOR)
    assert answer.status_code == 429
    assert seconds_of(answer) == clock.seconds + 60
    (call,) = await tiktok.read("calls")
    assert call["fault"] == "date+rate_limit"
