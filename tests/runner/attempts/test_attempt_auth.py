"""A token that TikTok refuses: one refresh, one replay of the same step."""

import pytest

from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import (
    AuthLost,
    Fault,
    HandedOn,
    Published,
)
from app.tiktok.client import NOT_CONFIGURED
from tests.runner.scripted import (
    BLIP,
    CHECK,
    COMPLETE,
    GONE,
    INFO,
    INIT,
    LIMITED,
    NEW,
    NO_SCOPE,
    POLL,
    PROCESSING,
    REFUSED,
    SENT,
    SLOT,
    TAKEN,
    after,
    came_to,
    fault,
    run,
)

SCOPES = [NO_SCOPE, fault("scope_permission_missed", ErrorClass.AUTH)]

each_scope_error = pytest.mark.parametrize("trouble", SCOPES, ids=lambda it: it.code)
each_failed_renewal = pytest.mark.parametrize(
    "trouble",
    [GONE, BLIP, LIMITED, fault("invalid_client", ErrorClass.PERMANENT)],
    ids=lambda it: it.error_class,
)


async def test_a_stale_token_at_creator_info_is_renewed_once() -> None:
    """The question is repeated with the new token, which serves from then on."""
    outcome, world = await run(NEW, creator_info=[REFUSED, INFO])
    assert isinstance(outcome, Published)
    assert world.names == [*CHECK, "renew", "creator_info", *SENT[2:], *POLL]
    assert world.about("creator_info") == ["act.1", "act.2"]
    assert world.about("renew") == ["act.1"]
    assert world.about("init") == world.about("status") == ["act.2"]


async def test_a_stale_token_at_init_is_renewed_once() -> None:
    """The stamp is taken back while nothing is at TikTok, and set again to send."""
    outcome, world = await run(NEW, init=[REFUSED, TAKEN])
    assert isinstance(outcome, Published)
    replay = ["clear_init", "renew", *INIT]
    assert world.names == [*CHECK, *INIT, *replay, "save_publish_id", *POLL]
    assert world.about("init") == ["act.1", "act.2"]
    assert world.about("renew") == ["act.1"]


async def test_a_stale_token_at_status_is_renewed_once() -> None:
    """The same id is asked for again; a token's death sends no init."""
    outcome, world = await run(NEW, status=[PROCESSING, REFUSED, PROCESSING, COMPLETE])
    assert isinstance(outcome, Published)
    assert world.names == [*SENT, *POLL, *POLL, "renew", "status", *POLL]
    assert world.about("status") == ["act.1", "act.1", "act.2", "act.2"]
    assert world.at("status") == [5, 10, 10, 15]


async def test_a_token_may_die_in_each_step() -> None:
    """Every step has its own replay."""
    outcome, world = await run(
        NEW,
        creator_info=[REFUSED, INFO],
        init=[REFUSED, TAKEN],
        status=[REFUSED, COMPLETE],
    )
    assert isinstance(outcome, Published)
    assert world.names.count("renew") == 3
    assert world.names.count("init") == 2


async def test_a_creator_refused_twice_is_lost() -> None:
    """One refresh, one replay, then a person has to connect; nothing was sent."""
    outcome, world = await run(NEW, creator_info=[REFUSED])
    assert outcome == AuthLost(fault=REFUSED, in_flight=False)
    assert world.names == [*CHECK, "renew", "creator_info", "lost"]
    assert world.about("lost") == ["act.2 access_token_invalid"]


async def test_an_init_refused_twice_is_lost() -> None:
    """Not taken either time, so nothing is in flight."""
    outcome, world = await run(NEW, init=[REFUSED])
    assert outcome == AuthLost(fault=REFUSED, in_flight=False)
    assert world.names == [*CHECK, *INIT, "clear_init", "renew", *INIT, "lost"]


async def test_a_status_refused_twice_is_lost_but_in_flight() -> None:
    """The post may still come out: its id is kept, and guards against a second."""
    outcome, world = await run(NEW, status=[REFUSED])
    assert outcome == AuthLost(fault=REFUSED, in_flight=True)
    assert world.names == [*SENT, *POLL, "renew", "status", "lost"]
    assert world.row.publish_id == "pub-1"
    assert world.row.in_flight


@each_failed_renewal
async def test_creator_info_without_a_new_token_ends_by_the_refreshs_class(
    trouble: Fault,
) -> None:
    """A blip of the refresh disconnects nobody; nothing is asked without a token."""
    outcome, world = await run(NEW, creator_info=[REFUSED], renew=[trouble])
    assert outcome == came_to(trouble)
    assert [name for name in world.names if name != "lost"] == [*CHECK, "renew"]
    assert ("lost" in world.names) == (trouble is GONE)


@each_failed_renewal
async def test_an_init_without_a_new_token_is_not_sent_again(trouble: Fault) -> None:
    """The stamp is gone already, so whatever the refresh met, nothing is in flight."""
    outcome, world = await run(NEW, init=[REFUSED], renew=[trouble])
    assert outcome == came_to(trouble)
    steps = [name for name in world.names if name != "lost"]
    assert steps == [*CHECK, *INIT, "clear_init", "renew"]
    assert ("lost" in world.names) == (trouble is GONE)
    assert not world.row.in_flight


async def test_where_no_token_can_be_refreshed_a_refusal_is_final() -> None:
    """Without the app's own credentials only the person can bring a new token."""
    outcome, world = await run(NEW, init=[REFUSED], renew=[NOT_CONFIGURED])
    assert outcome == AuthLost(fault=REFUSED, in_flight=False)
    assert world.names[-2:] == ["renew", "lost"]


async def test_a_status_call_without_a_new_token_is_tried_at_the_next_poll() -> None:
    """A refresh that failed for a moment is an error of a status call like others."""
    outcome, world = await run(
        NEW, status=[REFUSED, REFUSED, COMPLETE], renew=[BLIP, LIMITED]
    )
    assert isinstance(outcome, Published)
    assert world.names == [*SENT, *[*POLL, "renew"] * 2, *POLL]
    assert world.at("status") == [5, 10, 15]


async def test_a_status_call_whose_grant_is_gone_is_lost_in_flight() -> None:
    """The refresh said so: nobody can ask any more."""
    outcome, world = await run(NEW, status=[REFUSED], renew=[GONE])
    assert outcome == AuthLost(fault=GONE, in_flight=True)
    assert world.names == [*SENT, *POLL, "renew", "lost"]
    assert world.row.publish_id == "pub-1"


@each_scope_error
async def test_a_missing_scope_is_not_refreshed(trouble: Fault) -> None:
    """A refresh adds no scope: the person has to consent anew."""
    for step in ("creator_info", "init"):
        outcome, world = await run(NEW, **{step: [trouble]})
        assert outcome == AuthLost(fault=trouble, in_flight=False)
        assert "renew" not in world.names
        assert world.about("lost") == [f"act.1 {trouble.code}"]


@each_scope_error
async def test_a_scope_lost_while_polling_keeps_the_id(trouble: Fault) -> None:
    """The init was taken with it; only the question is refused."""
    outcome, world = await run(NEW, status=[trouble])
    assert outcome == AuthLost(fault=trouble, in_flight=True)
    assert world.names == [*SENT, *POLL, "lost"]


async def test_out_of_time_after_a_renewal_sends_nothing() -> None:
    """The replay of an init is a new step, and its stamp is not set."""
    outcome, world = await run(NEW, init=[REFUSED], hurried_after="renew")
    assert outcome == HandedOn(resume_at=after(0))
    assert world.names.count("init") == 1
    assert not world.row.in_flight


async def test_the_replay_of_an_init_takes_a_place_of_its_own() -> None:
    """TikTok counts refused calls too."""
    outcome, world = await run(NEW, init=[REFUSED], permit_init=[None, SLOT])
    assert outcome == SLOT
    assert world.names.count("init") == 1
    assert not world.row.in_flight
