"""The world of one attempt as a script: answers in a row, every step noted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, cast

from msgspec import structs
from msgspec.structs import replace

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import ErrorClass, Job, WaitingFor
from app.domain.jobs.outcome import (
    AuthLost,
    Fault,
    Outcome,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
    Verdict,
)
from app.domain.posts.post import PostMode
from app.grants.grants import Access
from app.runner.attempts.attempt import Attempt
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.polling import PollPolicy
from app.runner.attempts.ways.gateway import GatewayPull
from app.runner.attempts.ways.way import Way
from app.tiktok.values import InitTaken, PublishState, PublishStatus
from tests.domain.jobs.sample import NOW, a_job, in_flight

Answer = TypeVar("Answer")

ACCESS: Final = Access(
    project_id="proj_1",
    platform="tiktok",
    open_id="open_1",
    quota_owner="open_1",
    username="stored_name",
    token="act.1",
    scopes=("video.publish",),
    version=1,
    ends_at=NOW + timedelta(days=180),
)
RENEWED: Final = structs.replace(ACCESS, token="act.2", version=2)
INFO: Final = CreatorInfo(
    username="cat", nickname="Cat", avatar_url="", privacy_options=("SELF_ONLY",)
)
TAKEN: Final = InitTaken(publish_id="pub-1", log_id="log-init")
PROCESSING: Final = PublishStatus(state=PublishState.PROCESSING)
COMPLETE: Final = PublishStatus(
    state=PublishState.COMPLETE, post_ids=("71",), log_id="log-done", http_status=200
)
IN_INBOX: Final = PublishStatus(
    state=PublishState.IN_INBOX, log_id="log-inbox", http_status=200
)
SLOT: Final = PutOff(until=NOW + timedelta(seconds=40), waiting_for=WaitingFor.QUOTA)


def fault(
    code: str = "internal_error",
    error_class: ErrorClass = ErrorClass.TRANSIENT,
    verdict: Verdict = Verdict.ANSWERED,
) -> Fault:
    """Make a fault of a call."""
    return Fault(error_class=error_class, code=code, message=code, verdict=verdict)


REFUSED: Final = fault("access_token_invalid", ErrorClass.AUTH)
NO_SCOPE: Final = fault("scope_not_authorized", ErrorClass.AUTH)
GONE: Final = fault("invalid_grant", ErrorClass.AUTH)
BLIP: Final = fault("timeout", verdict=Verdict.UNKNOWN)
LIMITED: Final = fault("rate_limit_exceeded", ErrorClass.RATE_LIMIT)
BANNED: Final = fault("spam_risk_user_banned_from_posting", ErrorClass.PERMANENT)
OUTCOMES: Final[dict[ErrorClass, Callable[..., Outcome]]] = {
    ErrorClass.AUTH: AuthLost,
    ErrorClass.PERMANENT: Rejected,
    ErrorClass.RATE_LIMIT: RateLimited,
    ErrorClass.TRANSIENT: Transient,
}
EVERY_CLASS: Final = (GONE, BANNED, LIMITED, fault())

NEW: Final = a_job()
DRAFT: Final = a_job(post=replace(NEW.post, mode=PostMode.INBOX, privacy_level=None))
RESUMED: Final = replace(in_flight(a_job()), publish_started_at=NOW)

CHECK: Final = ["access", "creator_info"]
INIT: Final = ["permit init", "stamp_init", "init"]
SENT: Final = [*CHECK, *INIT, "save_publish_id"]
POLL: Final = ["permit status", "status"]


def came_to(trouble: Fault) -> Outcome:
    """Return what a fault makes of an attempt with nothing in flight."""
    return OUTCOMES[trouble.error_class](fault=trouble, in_flight=False)


@dataclass(frozen=True, slots=True)
class Step:
    """One effect as the attempt asked for it."""

    name: str
    at: float  # seconds after NOW
    about: str | None = None  # the token or id it was made with


class Script:
    """Effects that answer from a script, on a clock that only they move.

    Each script is a row of answers whose last one repeats; what has none does what a
    friendly world would. ``takes`` are seconds.
    """

    def __init__(
        self,
        job: Job,
        *,
        takes: dict[str, float] | None = None,
        lost_at: str | None = None,
        lost_after: str | None = None,
        hurried_after: str | None = None,
        until: float = float("inf"),
        permit_lasts: float = 60,
        **answers: Sequence[object],
    ) -> None:
        self.row = job
        self.steps: list[Step] = []
        self._now = NOW
        self._takes = takes or {}
        self._lost_at = lost_at
        self._lost_after = lost_after
        self._hurried_after = hurried_after
        self._until = until
        self._permit_lasts = permit_lasts
        self._answers = {name: list(row) for name, row in answers.items()}

    @property
    def names(self) -> list[str]:
        """List the steps, without the waits between them."""
        return [step.name for step in self.steps if step.name != "pause"]

    def at(self, name: str) -> list[float]:
        """List when a step was asked for."""
        return [step.at for step in self.steps if step.name == name]

    def about(self, name: str) -> list[str | None]:
        """List what a step was asked for with."""
        return [step.about for step in self.steps if step.name == name]

    # The effects

    def now(self) -> datetime:
        """Return the script's time."""
        return self._now

    def hurried(self) -> bool:
        """Tell whether the script's worker has to hand on."""
        late = (self._now - NOW).total_seconds() >= self._until
        return late or self._hurried_after in self.names

    async def pause(self, seconds: float) -> None:
        """Move the clock."""
        self._note("pause", str(seconds))
        self._now += timedelta(seconds=seconds)

    async def access(self, job: Job) -> Access | Fault:
        """Hand out a token."""
        return self._answer("access", ACCESS)

    async def renew(self, refused: Access) -> Access | Fault:
        """Hand out the next token."""
        return self._answer("renew", RENEWED, refused.token)

    async def lost(self, access: Access, fault: Fault) -> None:
        """Note that the grant is gone."""
        self._note("lost", f"{access.token} {fault.code}")

    async def permit(self, access: Access, job: Job, call: QuotaCall) -> PutOff | None:
        """Give a permit."""
        return self._answer(f"permit {call}", cast("PutOff | None", None))

    def in_time(self) -> bool:
        """Tell whether the permit still holds."""
        permits = [step for step in self.steps if step.name.startswith("permit")]
        return (self._now - NOW).total_seconds() - permits[-1].at <= self._permit_lasts

    def way_of(self, state: AttemptState) -> Way:
        """Let TikTok pull, through a gateway that may know nothing."""
        return GatewayPull(state, self)

    async def video_seconds(self, job: Job) -> float | None:
        """Tell nothing of the video."""
        return None

    async def creator_info(
        self, access: Access, job: Job
    ) -> CreatorInfo | Fault | PutOff:
        """Tell what may be chosen."""
        answer = cast("CreatorInfo | Fault | PutOff", INFO)
        return self._answer("creator_info", answer, access.token)

    async def stamp_init(self, job: Job) -> Job | None:
        """Write the stamp."""
        return self._write(
            "stamp_init",
            job,
            init_sent_at=self._now,
            publish_id=None,
            open_id=job.open_id,
            creator_username=job.creator_username,
        )

    async def clear_init(self, job: Job) -> Job | None:
        """Take the stamp back."""
        return self._write("clear_init", job, init_sent_at=None)

    async def revoke_media(self, job: Job) -> bool:
        """Withdraw the video; without a gateway there is nothing to withdraw."""
        return self._answer("revoke_media", friendly=False)

    async def init(self, access: Access, job: Job) -> InitTaken | Fault:
        """Take the init."""
        assert job == self.row, "sent from a row that is not what is written"
        assert job.ambiguous, "sent without a stamp"
        return self._answer("init", cast("InitTaken | Fault", TAKEN), access.token)

    async def save_publish_id(self, job: Job, publish_id: str) -> Job | None:
        """Write the id."""
        return self._write(
            "save_publish_id",
            job,
            publish_id=publish_id,
            publish_started_at=self._now,
        )

    async def status(self, access: Access, publish_id: str) -> PublishStatus | Fault:
        """Tell how far it is."""
        assert publish_id == self.row.publish_id, "polled before the id was written"
        answer = cast("PublishStatus | Fault", COMPLETE)
        return self._answer("status", answer, access.token)

    def _answer(self, name: str, friendly: Answer, about: str | None = None) -> Answer:
        self._note(name, about)
        row = self._answers.get(name.replace(" ", "_"))
        if not row:
            return friendly
        return cast("Answer", row.pop(0) if len(row) > 1 else row[0])

    def _write(self, name: str, job: Job, **columns: object) -> Job | None:
        assert _unnamed(job) == _unnamed(self.row), "written from an old row"
        self._note(name)
        if name == self._lost_at or self._lost_after in self.names:
            return None
        self.row = replace(self.row, **columns)
        return self.row

    def _note(self, name: str, about: str | None = None) -> None:
        seconds = (self._now - NOW).total_seconds()
        self.steps.append(Step(name, seconds, about))
        self._now += timedelta(seconds=self._takes.get(name, 0))


def _unnamed(job: Job) -> Job:
    """Leave out what an attempt knows before it writes it with its init."""
    return replace(job, open_id=None, creator_username=None)


async def run(
    job: Job,
    **script: Any,  # noqa: ANN401  as Script takes them
) -> tuple[Outcome, Script]:
    """Run an attempt through a script; the steps are in the script afterwards."""
    poll = script.pop("poll", PollPolicy())
    world = Script(job, **script)
    outcome = await Attempt(job, world, poll, world.way_of).run()
    return outcome, world


def after(seconds: float) -> datetime:
    """Name a moment by the seconds since NOW."""
    return NOW + timedelta(seconds=seconds)
