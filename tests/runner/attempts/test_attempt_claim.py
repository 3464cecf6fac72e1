"""A worker whose claim was taken over: the write says so, and all is over."""

import pytest
from msgspec.structs import replace

from app.runner.attempts.attempt import Attempt
from app.runner.attempts.attempt_state import ClaimLost
from app.runner.attempts.polling import PollPolicy
from tests.runner.scripted import (
    CHECK,
    INIT,
    NEW,
    REFUSED,
    SENT,
    TAKEN,
    Script,
    after,
)


@pytest.mark.parametrize(
    ("lost_at", "init", "last_steps"),
    [
        ("stamp_init", [TAKEN], [*CHECK, *INIT[:2]]),
        ("save_publish_id", [TAKEN], SENT),
        ("clear_init", [REFUSED, TAKEN], [*CHECK, *INIT, "clear_init"]),
    ],
    ids=["stamp_init", "save_publish_id", "clear_init"],
)
async def test_nothing_follows_a_write_that_found_the_claim_lost(
    lost_at: str, init: list[object], last_steps: list[str]
) -> None:
    """No init, no poll, no refresh: the job is another worker's."""
    world = Script(NEW, lost_at=lost_at, init=init)
    with pytest.raises(ClaimLost):
        await Attempt(NEW, world, PollPolicy(), world.way_of).run()
    assert world.names == last_steps


async def test_a_claim_lost_during_a_refresh_sends_nothing_again() -> None:
    """A refresh may take as long as a lease: the second stamp asks once more."""
    world = Script(NEW, init=[REFUSED, TAKEN], lost_after="renew")
    with pytest.raises(ClaimLost):
        await Attempt(NEW, world, PollPolicy(), world.way_of).run()
    assert world.names[-3:] == ["renew", "permit init", "stamp_init"]
    assert world.names.count("init") == 1


async def test_a_claim_lost_while_the_stamp_was_written_sends_nothing() -> None:
    """Who is late looks first whether the job is still theirs."""
    world = Script(NEW, hurried_after="stamp_init", lost_at="clear_init")
    with pytest.raises(ClaimLost):
        await Attempt(NEW, world, PollPolicy(), world.way_of).run()
    assert "init" not in world.names


async def test_a_void_init_is_taken_back_by_its_owner_alone() -> None:
    """An attempt that lost its claim in between calls TikTok no more."""
    job = replace(NEW, init_sent_at=after(-60))
    world = Script(job, revoke_media=[True], lost_at="clear_init")
    with pytest.raises(ClaimLost):
        await Attempt(job, world, PollPolicy(), world.way_of).run()
    assert world.names == ["revoke_media", "clear_init"]
