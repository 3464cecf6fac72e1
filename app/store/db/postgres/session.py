"""Open sessions with Postgres on any of its hosts, and set them up."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from weakref import WeakSet

import asyncpg
import structlog

from app.machine.look_ups import Names
from app.store.db.outage import (
    HOPELESS_STATES,
    NO_ANSWER,
    DatabaseUnreachable,
    of_server,
    of_system,
    state_of,
)
from app.store.db.postgres.address import Host, PostgresAddress
from app.store.db.postgres.dial import DialingLoop
from app.store.db.postgres.identity import (
    HIDING_STATES,
    IDENTITY_SQL,
    Identity,
    LeftBehind,
    Lineage,
)

log = structlog.get_logger(__name__)

OLDEST_VERSION: Final = 12
LONGEST_PAUSE_SECONDS: Final = 30.0
LOOK_AGAIN_SECONDS: Final = 0.5
LOOK_SECONDS: Final = 5.0
DURABLE: Final = frozenset({"on", "remote_apply"})
"""Values of synchronous_commit at which a commit survives a crash of the server."""

_LOOK: Final = """
SELECT pg_backend_pid() AS pid, pg_is_in_recovery() AS is_standby,
    current_setting('server_version_num')::int AS version,
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('default_transaction_isolation') AS default_transaction_isolation,
    current_setting('search_path') AS search_path,
    current_setting('jit', true) AS jit, {identity} AS identity
"""
_LOOKS: Final = {
    hidden: _LOOK.format(identity="NULL" if hidden else IDENTITY_SQL)
    for hidden in (False, True)
}
_FASTER: Final = {"jit": "off"}
"""Settings that save time; a server that does not know them goes without.

To compile a statement takes Postgres many times as long as to run any of ours, and it
does so where it takes a page of a large table for a tenth of it.
"""

_STANDBY: Final = "25006"

Session: TypeAlias = Any
"""An asyncpg.Connection; asyncpg ships no types."""


class Sessions:
    """Opens sessions; raises Unreachable where none can be opened.

    The longer an outage lasts, the less often it is retried, by all callers together.
    """

    def __init__(
        self,
        address: PostgresAddress,
        *,
        command_seconds: float | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the address, and how long a statement may take; times in seconds."""
        self.pooled = not address.named_statements
        """Whether a pooler in between gives each transaction another session."""
        self.open = WeakSet[Session]()
        self.borrowed: dict[Session, float] = {}
        """The sessions in use, and since when, by time.monotonic()."""
        self.lineage = Lineage()
        self.durability = "on"
        """The synchronous_commit of the sessions."""
        self._of_standby = WeakSet[Session]()
        self._address = address
        self._names = Names()
        self._command_seconds = command_seconds
        self._now = now
        self._away_since: float | None = None
        self._next_try = 0.0
        self._last: DatabaseUnreachable | None = None
        self._patience: float | None = None  # None: hurry() was not called

    async def connect(self) -> Session:
        """Open a session on the first suitable host."""
        if self._last is not None and self._now() < self._next_try:
            raise DatabaseUnreachable(
                self._last.cause, state=self._last.state, hopeless=self._last.hopeless
            )
        try:
            session = await self._on_any_host()
        except DatabaseUnreachable as error:
            self._put_off(error)
            raise
        self._away_since = self._last = None
        self.open.add(session)
        return session

    def hurry(self, seconds: float) -> None:
        """From now on break off every use of a session that takes longer.

        A server that accepts nobody in that time is not tried again.
        """
        self._patience = min(seconds, self._address.connect_seconds)
        self._look_after(seconds, asyncio.get_running_loop())

    def _look_after(self, seconds: float, loop: asyncio.AbstractEventLoop) -> None:
        late = self._now() - seconds
        if any(since <= late for since in self.borrowed.values()):
            # The server hangs, and so would users of idle sessions.
            for session in list(self.open):
                if self.borrowed.get(session, late) <= late:
                    session.terminate()
        loop.call_later(LOOK_AGAIN_SECONDS, self._look_after, seconds, loop)

    async def close(self, seconds: float) -> None:
        """End all sessions at once; those that do not answer are cut off."""
        endings = [session.close(timeout=seconds) for session in list(self.open)]
        await asyncio.gather(*endings, return_exceptions=True)
        for session in list(self.open):
            session.terminate()

    def _put_off(self, error: DatabaseUnreachable) -> None:
        """Wait a quarter of the time that the database has been away."""
        now = self._now()
        if self._patience is not None and error.cause == NO_ANSWER:
            # The server hangs and the program is ending: nobody else should wait for
            # it.
            self._last, self._next_try = error, math.inf
            return
        if self._away_since is None:
            self._away_since = now
        if error.is_full:
            return
        pause = min((now - self._away_since) / 4, LONGEST_PAUSE_SECONDS)
        self._last, self._next_try = error, now + pause

    async def _on_any_host(self) -> Session:
        refused = list[DatabaseUnreachable]()
        hosts = self._address.hosts
        for host in hosts:
            try:
                return await self._on(host)
            except DatabaseUnreachable as error:
                refused.append(error)
        if len(refused) == 1:
            raise refused[0]
        causes = (
            f"{host[0]}: {each}" for host, each in zip(hosts, refused, strict=True)
        )
        raise DatabaseUnreachable(
            "; ".join(causes),
            state=min(each.state for each in refused),
            hopeless=all(each.hopeless for each in refused),
        )

    async def _on(self, host: Host) -> Session:
        named = not self.pooled
        session, found = await self._opened(host, named=named)
        self.pooled = self._is_pooled(session, found)
        if self.pooled is named:
            # Whether statements have names is fixed when a session is opened.
            session.terminate()
            session, found = await self._opened(host, named=not named)
        try:
            self._admit(session, found["identity"])
            await self._set_up(session, found)
        except BaseException as error:
            session.terminate()
            raise _unreachable(error) from error
        if found["is_standby"]:
            self._of_standby.add(session)
        return session

    def _admit(self, session: Session, identity: str | None) -> None:
        """Note which server it is, and end the sessions with one that it replaced.

        A session stays with its server, and a primary with its timeline: what was
        admitted once needs no second look. Raises LeftBehind.
        """
        if identity is None or not self.lineage.meet(Identity.of(identity)):
            return
        for other in list(self.open):
            if other is not session:
                other.terminate()

    def may_be_promoted(self, session: Session) -> bool:
        """Tell whether a session began on a standby, which may have become more."""
        return session in self._of_standby

    async def look_again(self, session: Session) -> None:
        """See whether a standby has become a primary; ends the session if it fails."""
        try:
            found = await self._look(session)
            self._admit(session, found["identity"])
        except BaseException:
            session.terminate()
            raise
        if not found["is_standby"]:
            self._of_standby.discard(session)

    async def _opened(
        self, host: Host, *, named: bool
    ) -> tuple[Session, Mapping[str, Any]]:
        loop = asyncio.get_running_loop()
        try:
            session = await self._log_in(host, loop, named=named)
        except Exception as error:
            raise _unreachable(error) from error
        session._loop = loop  # noqa: SLF001  it asks which task runs on its loop
        try:
            return session, await self._look(session)
        except BaseException as error:
            session.terminate()
            raise _unreachable(error) from error

    async def _log_in(
        self, host: Host, loop: asyncio.AbstractEventLoop, *, named: bool
    ) -> Session:
        address, (name, port) = self._address, host
        dialing: Any = DialingLoop(loop, self._names, address.keepalives)
        return await asyncpg.connect(
            host=name or None,
            port=port,
            user=address.user,
            password=address.password,
            database=address.database,
            ssl=address.tls,
            timeout=self._patience or address.connect_seconds,
            command_timeout=self._command_seconds,
            server_settings={"application_name": address.application_name},
            loop=dialing,
            **({} if named else {"statement_cache_size": 0}),
        )

    def _is_pooled(self, session: Session, found: Mapping[str, Any]) -> bool:
        """Tell whether a pooler is in between: poolers make up process ids."""
        told: int = session.get_server_pid()
        return not self._address.named_statements or found["pid"] != told

    async def _look(self, session: Session) -> Mapping[str, Any]:
        """Ask what a session is like; who hides its identity is asked for the rest."""
        try:
            return await self._ask(session, _LOOKS[self.lineage.is_hidden])
        except asyncpg.PostgresError as error:
            hides = state_of(error).startswith(HIDING_STATES)
            if self.lineage.is_hidden or not hides:
                raise
            self.lineage.is_hidden = True
            log.warning(
                "the host hides which server it is: a fail-over would not be noticed"
            )
            return await self._ask(session, _LOOKS[True])

    async def _ask(self, session: Session, question: str) -> Mapping[str, Any]:
        seconds = self._patience or LOOK_SECONDS
        # Unnamed: behind a pooler the name would turn up again in another session.
        statement = await session.prepare(question, name="", timeout=seconds)
        found: Mapping[str, Any] = await statement.fetchrow(timeout=seconds)
        return found

    async def _set_up(self, session: Session, found: Mapping[str, Any]) -> None:
        """Give a session the settings that the promises depend on, if it lacks them."""
        _refuse_unfit(found, writable=self._address.writable)
        wanted = self._wanted(found)
        self.durability = wanted["synchronous_commit"]
        lacking = {
            name: value for name, value in wanted.items() if found.get(name) != value
        }
        if not lacking:
            return
        if self.pooled:
            # Another transaction's session would get them.
            name, value = next(iter(lacking.items()))
            raise DatabaseUnreachable(
                f"{name} has to be {value}, and a pooler keeps no session's settings:"
                f" ALTER ROLE … SET {name} = {value}",
                hopeless=True,
            )
        quoted = {name: value.replace("'", "''") for name, value in lacking.items()}
        calls = (f"set_config('{name}', '{quoted[name]}', false)" for name in quoted)
        await session.execute(f"SELECT {', '.join(calls)}")

    def _wanted(self, found: Mapping[str, Any]) -> dict[str, str]:
        known = () if self.pooled else _FASTER.items()
        wanted = {name: value for name, value in known if found[name] is not None}
        wanted |= self._address.settings
        # A default of serializable would fail correct transactions.
        wanted["default_transaction_isolation"] = "read committed"
        # At least what we promise, and at least what is configured.
        asked = wanted.get("synchronous_commit", found["synchronous_commit"])
        wanted["synchronous_commit"] = asked if asked in DURABLE else "on"
        return wanted


def _refuse_unfit(found: Mapping[str, Any], *, writable: bool) -> None:
    if (major := found["version"] // 10_000) < OLDEST_VERSION:
        raise DatabaseUnreachable(
            f"Postgres {major} is too old; {OLDEST_VERSION} or newer is needed",
            hopeless=True,
        )
    if writable and found["is_standby"]:
        raise DatabaseUnreachable("a standby, which can only be read", state=_STANDBY)
    if writable and found["read_only"] == "on":
        raise DatabaseUnreachable("read-only at present", state=_STANDBY)


def _unreachable(error: BaseException) -> BaseException:
    """Turn any error into Unreachable, but not a cancellation."""
    if isinstance(error, DatabaseUnreachable) or not isinstance(error, Exception):
        return error
    if isinstance(error, LeftBehind):
        return DatabaseUnreachable(str(error), state=_STANDBY)
    if isinstance(error, asyncpg.PostgresError):
        state = state_of(error)
        hopeless = state.startswith(HOPELESS_STATES)
        return DatabaseUnreachable(of_server(error), state=state, hopeless=hopeless)
    if isinstance(error, TimeoutError):
        return DatabaseUnreachable(NO_ANSWER)
    if isinstance(error, OSError):
        return DatabaseUnreachable(of_system(error))
    return DatabaseUnreachable(" ".join(str(error).split())[:300])
