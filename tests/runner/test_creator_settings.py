"""TikTok decides about options that the creator switched off; the person is told."""

from datetime import timedelta
from typing import Final, cast

import pytest

from app.domain.jobs.job import Job, JobStatus, Transfer
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from app.sandbox import people
from app.sandbox.recording import Call
from app.service.jobs.notices import Notice, notice
from tests.runner.stage import Stage, Worker

PERSON: Final = "user of proj_1"
PRIVATE: Final = PrivacyLevel.SELF_ONLY


async def connected(stage: Stage, **off: bool) -> Worker:
    """Give a worker whose project's creator has something off."""
    worker = await stage.worker(allow_private_urls=True)  # the asset is on loopback
    await stage.connect(worker, "proj_1")
    switch(stage, **off)
    return worker


def switch(stage: Stage, **off: bool) -> None:
    """Let the creator change the settings in TikTok's app."""
    changes = {f"{name}Disabled": is_off for name, is_off in off.items()}
    people.change_account(stage.tiktok.sandbox, PERSON, changes)


def told(stage: Stage, job: Job) -> Notice | None:
    """Say what the job's owner reads."""
    return notice(job, run_by_cron=False, now=stage.clock.now())


ALL_ON: Final = Post(
    privacy_level=PRIVATE,
    title="Spring",
    disable_comment=False,
    disable_duet=False,
    disable_stitch=False,
)


@pytest.mark.parametrize("way", list(Transfer))
@pytest.mark.parametrize("what", ["comment", "duet", "stitch"])
async def test_what_the_creator_has_off_is_told(
    stage: Stage, what: str, way: Transfer
) -> None:
    """The post goes out as it was asked for; TikTok decides, and the notice says so."""
    worker = await connected(stage, **{what: True})
    job = await stage.job(worker, post=ALL_ON, transfer=way)
    await worker.tick()
    ended = await worker.job(job)
    assert (ended.status, ended.attempt_number) == (JobStatus.POSTED, 1)
    said = told(stage, ended)
    plural = {"comment": "comments", "duet": "duets", "stitch": "stitches"}[what]
    assert said is not None
    assert said.code == f"{plural}_off"
    assert f"have {plural} off: TikTok decides" in said.text
    assert ended.readiness is not None
    assert ended.readiness.ok
    (init,) = stage.calls(Call.INIT)
    info = cast("dict[str, object]", init.body["post_info"])
    assert info[f"disable_{what}"] is False


async def test_nothing_is_told_of_what_the_person_left_off_too(stage: Stage) -> None:
    """Nothing is written that was not written before."""
    worker = await connected(stage, comment=True, duet=True, stitch=True)
    wanted = Post(
        privacy_level=PRIVATE,
        disable_comment=True,
        disable_duet=True,
        disable_stitch=True,
    )
    job = await stage.job(worker, post=wanted)
    await worker.tick()
    ended = await worker.job(job)
    assert (ended.status, ended.readiness) == (JobStatus.POSTED, None)
    assert told(stage, ended) is None


async def test_it_is_told_ahead_of_time_and_taken_back(stage: Stage) -> None:
    """By a look while the person can still act; what was switched on again is not."""
    worker = await connected(stage, comment=True)
    at = stage.clock.now() + timedelta(minutes=30)
    job = await stage.job(worker, post=ALL_ON, scheduled_for=at)
    await worker.container.readiness_checker.run_due(limit=8)
    looked = await worker.job(job)
    assert looked.readiness is not None
    assert looked.readiness.ok
    said = told(stage, looked)
    assert said is not None
    assert said.code == "comments_off"
    switch(stage, comment=False)
    stage.clock.go_to(at + timedelta(minutes=2))
    await worker.tick()
    ended = await worker.job(job)
    assert ended.status is JobStatus.POSTED
    assert told(stage, ended) is None


async def test_what_else_there_is_to_say_comes_first(stage: Stage) -> None:
    """A public post may be reviewed: both are said in one notice."""
    worker = await connected(stage, comment=True, duet=True)
    stage.fault("init", "processing", postIdNever=True)
    public = Post(
        privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE,
        disable_comment=False,
        disable_duet=False,
    )
    job = await stage.job(worker, post=public)
    await worker.tick()
    said = told(stage, await worker.job(job))
    assert said is not None
    assert said.code == "in_review"
    assert "comments off" in said.text
    assert "duets off" in said.text


async def test_a_draft_has_no_such_choices(stage: Stage) -> None:
    """They are made in TikTok's app, where the creator sees what is off."""
    worker = await connected(stage, comment=True)
    job = await stage.job(worker, post=Post(mode=PostMode.INBOX))
    await worker.tick()
    said = told(stage, await worker.job(job))
    assert said is not None
    assert "off" not in said.text.split()
