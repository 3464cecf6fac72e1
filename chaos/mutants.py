"""Mechanisms that can be taken out of a worker, to see which cells notice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType, ModuleType
from typing import Any, Final

from msgspec import structs
from msgspec.structs import replace
from sqlalchemy import ColumnElement, FromClause, and_, insert, select

from app.domain.accounts.account import Account
from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.outcome import Fault, Outcome
from app.grants.grants import Grants
from app.runner.attempts.attempt import Attempt
from app.runner.attempts.ways.gateway import GatewayPull
from app.runner.attempts.ways.pull import Pull
from app.runner.attempts.ways.way import Void
from app.runner.failover import Failover
from app.store.db.postgres.identity import Identity, Lineage
from app.store.jobs import init_writes, transitions
from app.store.jobs.claims import ClaimStore
from app.store.jobs.media_links import MediaStore
from app.store.jobs.recovery.gap import Gap, GapStore
from app.store.jobs.tables import media_links, schedule_jobs


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mechanism, and how to take it out of this process."""

    without: str
    install: Callable[[], None]


def _claim_token() -> None:
    def all_owned(given: FromClause) -> ColumnElement[bool]:
        columns = schedule_jobs.c
        return and_(columns.id == given.c.id, columns.status == JobStatus.PROCESSING)

    for module in (init_writes, transitions):
        _replace(module, all_owned)


def _stamp() -> None:
    stamp, save = ClaimStore.stamp_init, ClaimStore.save_publish_id

    async def stamp_init(
        self: ClaimStore, job: Job, *, now: datetime, media_token: str | None = None
    ) -> Job:
        link = {"token": media_token, "job_id": job.id, "asset_url": job.asset_url}
        if media_token is not None:
            async with self._database.write() as connection:
                await connection.execute(
                    insert(media_links), link | {"created_at": now}
                )
        return replace(job, init_sent_at=now, publish_id=None, media_token=media_token)

    async def save_publish_id(
        self: ClaimStore, job: Job, publish_id: str, *, now: datetime
    ) -> Job | None:
        await stamp(self, replace(job, init_sent_at=None), now=now)
        return await save(self, job, publish_id, now=now)

    _replace(ClaimStore, stamp_init, save_publish_id)


def _publish_id() -> None:
    async def save_publish_id(
        _: ClaimStore, job: Job, publish_id: str, *, now: datetime
    ) -> Job:
        return replace(job, publish_id=publish_id, publish_started_at=now)

    _replace(ClaimStore, save_publish_id)


def _resume() -> None:
    original = Attempt.run

    async def run(self: Attempt) -> Outcome:
        state = self._state
        if state.job.publish_id is not None and state.job.in_flight:
            state.own(await state.effects.clear_init(state.job))
        return await original(self)

    _replace(Attempt, run)


def _unknown() -> None:
    async def give_up(_: Pull, fault: Fault) -> Void:
        return Void(fault)

    _replace(Pull, give_up)
    _replace(GatewayPull, give_up)


def _fetched() -> None:
    original = MediaStore.revoke

    async def revoke(self: MediaStore, *tokens: str, now: datetime) -> bool:
        await original(self, *tokens, now=now)
        return True

    _replace(MediaStore, revoke)


def _revocation() -> None:
    async def revoke(self: MediaStore, *tokens: str, now: datetime) -> bool:  # noqa: ARG001
        links = media_links.c
        fetched = select(links.token).where(
            links.token.in_(tokens), links.fetched_at.is_not(None)
        )
        async with self._database.read() as connection:
            return (await connection.execute(fetched)).first() is None

    _replace(MediaStore, revoke)


def _person() -> None:
    usable = Grants._usable  # noqa: SLF001

    async def _usable(
        self: Grants, project_id: str, platform: str, _: str | None
    ) -> Account | Fault:
        return await usable(self, project_id, platform, None)

    _replace(Grants, _usable)


def _failover() -> None:
    async def ready(_: Failover) -> bool:
        return True

    def meet(self: Lineage, met: Identity) -> bool:
        self.newest = met
        return False

    _replace(Failover, ready)
    _replace(Lineage, meet)


def _narrow() -> None:
    """Hold only jobs that were due before the last contact with the former server."""
    close, look, seen = GapStore.close, ClaimStore.next_due, dict[Identity, datetime]()

    async def next_due(self: ClaimStore) -> datetime | None:
        due, lineage = await look(self), self._database.lineage
        if lineage is not None and lineage.newest is not None:
            seen[lineage.newest] = datetime.now(UTC)
        return due

    async def hold(self: GapStore, gap: Gap, *, now: datetime) -> int:
        last = [at for server, at in seen.items() if server != gap.server]
        narrow = structs.replace(gap, noticed=max(last, default=gap.began))
        return await close(self, narrow, now=now)

    _replace(ClaimStore, next_due)
    GapStore.close = hold  # type: ignore[method-assign]


def _replace(owner: type | ModuleType, *functions: Callable[..., Any]) -> None:
    """Replace functions by name; raises LookupError."""
    for function in functions:
        name = function.__name__
        if name not in vars(owner):
            raise LookupError(f"{owner.__name__} has no {name} to be taken out")
        setattr(owner, name, function)


MUTANTS: Final[Mapping[str, Mutant]] = MappingProxyType(
    {
        "stamp": Mutant("the note, written ahead, that an init goes out", _stamp),
        "publish_id": Mutant("writing TikTok's id before the first poll", _publish_id),
        "resume": Mutant("resuming a publish_id: every attempt sends an init", _resume),
        "unknown": Mutant("telling an unknown init from a failed one", _unknown),
        "claim_token": Mutant("the claim token in every write", _claim_token),
        "person": Mutant("the look at whose token it is", _person),
        "fetched": Mutant("the record that TikTok fetched the video", _fetched),
        "revocation": Mutant("withdrawing the video of an unknown init", _revocation),
    }
)

OUTSIDE: Final[Mapping[str, Mutant]] = MappingProxyType(
    {
        "failover": Mutant("looking whose database it is", _failover),
        "narrow": Mutant("holding all that was due until the new answered", _narrow),
    }
)
"""Those that no cell of the matrix is for: a chapter of their own tries them."""
