"""An attempt up to its init: checked first, written ahead, sent once."""

import pytest
from msgspec import structs
from msgspec.structs import replace

from app.domain.accounts.account import CreatorInfo
from app.domain.jobs.job import Job
from app.domain.jobs.outcome import (
    Fault,
    HandedOn,
    InInbox,
    Published,
    Rejected,
    Transient,
    Unconfirmed,
    Verdict,
)
from app.domain.posts.post import PrivacyLevel
from app.runner.attempts.verdicts import PRIVACY_NOT_OFFERED
from tests.runner.scripted import (
    BANNED,
    BLIP,
    CHECK,
    DRAFT,
    EVERY_CLASS,
    GONE,
    IN_INBOX,
    INFO,
    INIT,
    LIMITED,
    NEW,
    POLL,
    SENT,
    SLOT,
    after,
    came_to,
    fault,
    run,
)

UNKNOWN = replace(NEW, init_sent_at=after(-60))

each_class = pytest.mark.parametrize(
    "trouble", EVERY_CLASS, ids=lambda fault: fault.error_class
)


async def test_each_step_is_written_before_the_next() -> None:
    """Ask, stamp, send, write the id down, and only then poll."""
    outcome, world = await run(NEW)
    assert isinstance(outcome, Published)
    assert world.names == [*SENT, *POLL]
    assert world.row.init_sent_at == world.row.publish_started_at == after(0)
    assert world.row.publish_id == "pub-1"


async def test_a_draft_asks_nothing_of_the_creator() -> None:
    """creator_info is for direct posts; a draft's author chooses in TikTok's app."""
    outcome, world = await run(DRAFT, status=[IN_INBOX])
    assert outcome == InInbox(publish_id="pub-1", log_id="log-inbox", http_status=200)
    assert world.names == ["access", *INIT, "save_publish_id", *POLL]


async def test_what_may_be_at_tiktok_already_is_not_touched() -> None:
    """An init without a known answer is never followed by another."""
    outcome, world = await run(UNKNOWN)
    assert isinstance(outcome, Unconfirmed)
    assert world.names == ["revoke_media"]
    assert world.row == UNKNOWN


async def test_an_init_whose_video_was_withdrawn_is_void() -> None:
    """TikTok never had the video and never will: another init may go out."""
    outcome, world = await run(UNKNOWN, revoke_media=[True])
    assert isinstance(outcome, Published)
    assert world.names == ["revoke_media", "clear_init", *SENT, *POLL]


@each_class
async def test_without_a_token_nothing_is_asked(trouble: Fault) -> None:
    """The fault's class says what becomes of the job."""
    outcome, world = await run(NEW, access=[trouble])
    assert outcome == came_to(trouble)
    assert world.names == ["access"]


@each_class
async def test_a_creator_who_may_not_post_never_reaches_init(trouble: Fault) -> None:
    """If creator_info is refused for any reason, nothing is sent."""
    outcome, world = await run(NEW, creator_info=[trouble])
    assert outcome == came_to(trouble)
    assert world.names == [*CHECK, *(["lost"] if trouble is GONE else [])]


@pytest.mark.parametrize("options", [(), ("PUBLIC_TO_EVERYONE", "FUTURE_LEVEL")])
async def test_a_privacy_level_that_is_not_offered_is_not_changed(
    options: tuple[str, ...],
) -> None:
    """The person has to choose anew; nothing is sent in another shape."""
    info = structs.replace(INFO, privacy_options=options)
    outcome, world = await run(NEW, creator_info=[info])
    assert isinstance(outcome, Rejected)
    assert (outcome.fault.code, outcome.in_flight) == (PRIVACY_NOT_OFFERED, False)
    assert all(option in outcome.fault.message for option in options)
    assert "SELF_ONLY" in outcome.fault.message
    assert world.names == CHECK


@pytest.mark.parametrize("level", PrivacyLevel)
async def test_every_level_that_is_offered_passes(level: PrivacyLevel) -> None:
    """What counts is this creator's list, not ours."""
    job = replace(NEW, post=replace(NEW.post, privacy_level=level))
    offered = structs.replace(INFO, privacy_options=(level.value,))
    outcome, _ = await run(job, creator_info=[offered])
    assert isinstance(outcome, Published)


async def test_a_question_over_quota_puts_the_job_off() -> None:
    """Waiting for a turn is no error, and nothing was sent."""
    outcome, world = await run(NEW, creator_info=[SLOT])
    assert outcome == SLOT
    assert world.names == CHECK


async def test_an_init_over_quota_puts_the_job_off() -> None:
    """The place is taken before the stamp, so a full minute leaves no trace."""
    outcome, world = await run(NEW, permit_init=[SLOT])
    assert outcome == SLOT
    assert world.names == [*CHECK, "permit init"]
    assert world.row == NEW


@pytest.mark.parametrize("job", [NEW, DRAFT], ids=["direct", "inbox"])
async def test_who_has_no_time_left_sends_nothing(job: Job) -> None:
    """A hurried worker hands the job on before the stamp."""
    outcome, world = await run(job, hurried_after="permit init")
    assert outcome == HandedOn(resume_at=after(0))
    assert not {"stamp_init", "init"} & set(world.names)
    assert world.row == job


async def test_a_stamp_that_took_too_long_is_taken_back() -> None:
    """An init with no time for its answer would only become one of unknown fate."""
    outcome, world = await run(NEW, hurried_after="stamp_init", takes={"stamp_init": 9})
    assert outcome == HandedOn(resume_at=after(9))
    assert world.names == [*CHECK, *INIT[:2], "clear_init"]
    assert not world.row.in_flight


async def test_an_init_whose_place_grew_old_takes_another() -> None:
    """Sent with the old one, it could be the seventh in one of TikTok's minutes."""
    outcome, world = await run(NEW, permit_lasts=2, takes={"stamp_init": 3})
    assert isinstance(outcome, Published)
    assert world.names == [
        *CHECK,
        "permit init",
        "stamp_init",
        "permit init",
        "init",
        "save_publish_id",
        *POLL,
    ]


async def test_an_init_that_finds_no_second_place_is_not_sent() -> None:
    """It is known that nothing went out, so the stamp is taken back."""
    outcome, world = await run(
        NEW, permit_lasts=2, takes={"stamp_init": 3}, permit_init=[None, SLOT]
    )
    assert outcome == SLOT
    assert world.names[-2:] == ["permit init", "clear_init"]
    assert not world.row.in_flight


async def test_a_slow_database_ends_no_post() -> None:
    """It goes out with its second place, even if that is too old as well."""
    outcome, world = await run(
        NEW, permit_lasts=2, takes={"stamp_init": 3, "permit init": 3}
    )
    assert isinstance(outcome, Published)
    assert world.at("permit init") == [0, 6]


@pytest.mark.parametrize("code", ["timeout", "connection_lost", "bad_answer"])
async def test_an_init_without_an_answer_is_unconfirmed(code: str) -> None:
    """Nothing more is sent, and the stamp stays: TikTok may have taken it."""
    lost = fault(code, verdict=Verdict.UNKNOWN)
    outcome, world = await run(NEW, init=[lost])
    assert outcome == Unconfirmed(fault=lost)
    assert world.names == [*CHECK, *INIT, "revoke_media"]
    assert world.row.ambiguous


async def test_an_init_without_answer_or_video_may_be_repeated() -> None:
    """The video was withdrawn before TikTok came for it, so no post can come of it."""
    outcome, world = await run(NEW, init=[BLIP], revoke_media=[True])
    assert outcome == Transient(fault=BLIP, in_flight=False)
    assert world.names == [*CHECK, *INIT, "revoke_media"]


async def test_an_init_that_was_never_sent_may_be_repeated() -> None:
    """No connection, no post: the job is not in flight."""
    unsent = fault("connect_failed", verdict=Verdict.NOT_SENT)
    outcome, world = await run(NEW, init=[unsent])
    assert outcome == Transient(fault=unsent, in_flight=False)
    assert world.names == [*CHECK, *INIT]


@each_class
async def test_a_refused_init_ends_by_its_class(trouble: Fault) -> None:
    """TikTok said no: nothing is in flight, and nobody asks twice."""
    outcome, world = await run(NEW, init=[trouble])
    assert outcome == came_to(trouble)
    assert world.names == [*CHECK, *INIT, *(["lost"] if trouble is GONE else [])]


@pytest.mark.parametrize("trouble", [BANNED, LIMITED, BLIP])
async def test_only_a_lost_grant_costs_the_account(trouble: Fault) -> None:
    """No other error asks a person to connect again."""
    for step in ("creator_info", "init"):
        _, world = await run(NEW, **{step: [trouble]})
        assert "lost" not in world.names


async def test_the_url_names_the_creator_that_was_asked() -> None:
    """creator_info knows the present name, the account's row perhaps a former one."""
    outcome, _ = await run(NEW)
    assert isinstance(outcome, Published)
    assert outcome.post_url == "https://www.tiktok.com/@cat/video/71"


async def test_a_nameless_creator_keeps_the_name_on_record() -> None:
    """An empty answer overwrites nothing."""
    nameless: CreatorInfo = structs.replace(INFO, username="")
    outcome, _ = await run(NEW, creator_info=[nameless])
    assert isinstance(outcome, Published)
    assert outcome.post_url == "https://www.tiktok.com/@stored_name/video/71"
