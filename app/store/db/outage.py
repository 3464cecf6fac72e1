"""Turn every kind of database outage into StoreUnavailable, and log its cause."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socket import gaierror
from typing import Final

import structlog
from msgspec import Struct
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.domain.errors import StoreRefused, StoreUnavailable, WriteUnknown
from app.machine.shortage import is_shortage

log = structlog.get_logger(__name__)

ALL_IN_USE: Final = "every database connection of this process is in use"
CLOSED: Final = "the connection was closed"
NO_ANSWER: Final = "no answer in time"
LACKING: Final = "this process lacks threads or memory"

# SQLSTATEs that only time or an operator can mend, finer than asyncpg's exceptions:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
GONE_STATES: Final = (
    "08",  # connection
    "25006",  # read-only: a standby after a failover
    "25P03",  # idle in a transaction for too long
    "26000",  # no such prepared statement: a pooler gave us another session
    "28",  # login
    "3D",  # no such database
    "40",  # rolled back: serialization, deadlock
    "42501",  # not permitted (any more)
    "42P05",  # the prepared statement is there already: likewise a pooler
    "53",  # out of memory, disk or connections
    "55P03",  # lock not available
    "57",  # shutting down, starting up, cancelled
    "58",  # the machine's own errors
)

BAD_SESSION_STATES: Final = ("08", "25006", "25P03", "26000", "42P05", "57P")
"""After these states the session is useless, and so are all older ones."""

HOPELESS_STATES: Final = ("28", "3D", "42501")
"""States that waiting does not mend: somebody has to change a setting or a right."""

VALUE_STATES: Final = ("22", "23")
"""States caused by the values: data exceptions and broken constraints."""

_FULL: Final = "53"
_POOLER_IS_FULL: Final = ("08P01", "no more connections allowed")
_SQLITE_REFUSES: Final = ("database is locked", "disk is full", "readonly database")
_TLS_MISMATCH: Final = "rejected SSL upgrade"


class DatabaseUnreachable(OSError):
    """No session could be opened; the text is for operators and holds no secret."""

    def __init__(self, cause: str, *, state: str = "", hopeless: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.state = state
        self.hopeless = hopeless

    @property
    def is_full(self) -> bool:
        """Tell whether there is no room now, and may be at any moment."""
        state, words = _POOLER_IS_FULL
        is_poolers = self.state == state and words in self.cause
        return is_poolers or self.state.startswith(_FULL)


class Trouble:
    """Logs once why the database is away, again when the cause changes, and its end."""

    def __init__(self, explain: Callable[[], str | None] | None = None) -> None:
        """Take a function that may know the cause better than the driver."""
        self._explain = explain
        self.is_told = True
        """False where a command reports the cause in its own way."""

        self.cause: str | None = None
        self.hopeless = False
        self.of_writes = False
        """Reading worked, but writing did not."""

    def tell(self, cause: str, *, of_writes: bool, hopeless: bool = False) -> None:
        """Note a cause; ``of_writes``: reading may still work."""
        cause = (self._explain and self._explain()) or cause
        if cause != self.cause and self.is_told:
            log.warning("the database is unavailable", cause=cause)
        self.cause, self.hopeless = cause, hopeless
        self.of_writes = of_writes

    def over(self, *, written: bool) -> None:
        """Note that something worked."""
        if self.cause is None or (self.of_writes and not written):
            return
        self.cause, self.hopeless, self.of_writes = None, False, False
        log.info("the database is back")


class Progress(Struct):
    """How far a transaction got."""

    may_be_written: bool = False

    def lost(self, error: Exception) -> StoreUnavailable:
        """Return the error that says whether it may have been written."""
        unknown = self.may_be_written and not _is_refused(error)
        return WriteUnknown() if unknown else StoreUnavailable()


@contextmanager
def unavailable(trouble: Trouble, *, writes: bool) -> Iterator[Progress]:
    """Raise StoreUnavailable for an outage; let programming errors pass.

    WriteUnknown once it may have written, unless the server refused. The driver's text
    can hold the address and the user: it goes to the log, never to callers.
    """
    progress = Progress()
    try:
        yield progress
    except PoolTimeout as error:  # no outage, but overload
        raise StoreUnavailable(ALL_IN_USE) from error
    except (OSError, DBAPIError, MemoryError, RuntimeError) as error:
        cause = cause_of(error)
        if cause is None:
            raise
        hopeless = isinstance(error, DatabaseUnreachable) and error.hopeless
        trouble.tell(cause, of_writes=_is_of_writes(error), hopeless=hopeless)
        raise progress.lost(error) from error
    if trouble.cause is not None:
        trouble.over(written=writes)


@contextmanager
def refusals() -> Iterator[None]:
    """Raise StoreRefused where the server refuses for another reason than a value.

    Privileges, triggers, a missing table: an operator did that and can undo it.
    Elsewhere such an error is a bug and raised as it is.
    """
    try:
        yield
    except DBAPIError as error:
        state = state_of(error.orig)
        if not state or state.startswith(VALUE_STATES):
            raise
        log.warning("the database refuses a write", state=state)
        raise StoreRefused from error


def cause_of(error: Exception) -> str | None:
    """Return why the database is away, in a line without a secret; None: it is not."""
    if isinstance(error, DatabaseUnreachable):
        return error.cause
    if isinstance(error, DBAPIError):
        return _of_statement(error)
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    if isinstance(error, OSError):
        return of_system(error)
    return LACKING if is_shortage(error) else None


def state_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of a driver's error, or an empty text."""
    return getattr(error, "sqlstate", None) or ""


def of_server(error: BaseException) -> str:
    """Quote the server's message, which holds no value and no password."""
    said = str(error.args[0]) if error.args else type(error).__name__
    return f"{_line(said)} ({state_of(error)})"


def of_system(error: OSError) -> str:
    """Quote the operating system's message about a connection."""
    if isinstance(error, gaierror):
        return f"the host's name is not known: {_line(error.strerror or '')}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {_line(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {_line(error.reason or 'the handshake failed')}"
    if _TLS_MISMATCH in str(error):
        return "TLS: the server does not speak it"
    return _line(error.strerror or str(error) or type(error).__name__)


def _of_statement(error: DBAPIError) -> str | None:
    state, origin = state_of(error.orig), error.orig
    cause = origin.__cause__ if origin is not None else None
    if isinstance(cause, ValueError):  # the driver did not take a value of ours
        return None
    if state.startswith(GONE_STATES) and origin is not None:
        return of_server(cause or origin)
    if isinstance(cause, TimeoutError):
        return NO_ANSWER
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return CLOSED
    # SQLite: busy, full, read-only; or the file is damaged, or no database.
    if isinstance(error, OperationalError) or type(error) is DatabaseError:
        return _line(str(origin))
    return None


def _is_refused(error: Exception) -> bool:
    """Tell whether the database itself said that it did not write."""
    if not isinstance(error, DBAPIError):
        return False
    if state := state_of(error.orig):
        return not state.startswith(("08", "57P"))
    return any(words in str(error.orig) for words in _SQLITE_REFUSES)


def _is_of_writes(error: Exception) -> bool:
    origin = error.orig if isinstance(error, DBAPIError) else None
    full_or_read_only = ("disk is full", "readonly")
    return state_of(origin).startswith(("25006", "53100")) or any(
        words in str(origin) for words in full_or_read_only
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
