"""Open and close connections to an SQLite file."""

import asyncio
import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

import aiosqlite


async def open_file(path: str, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401  as sqlite3
    """Open the file, ready for use; leave nothing behind if that fails.

    A new file is its owner's alone. Raises sqlite3.Error.
    """
    _make_private(path)
    connection = aiosqlite.connect(path, factory=_Connection, **options)
    thread = connection._thread  # noqa: SLF001  as SQLAlchemy has it, too
    thread.daemon = True  # it must not keep the program running
    try:
        return await connection
    except BaseException:
        # aiosqlite only asks its thread to end. The thread answers, and if the loop has
        # closed meanwhile, with a traceback on standard error.
        await asyncio.to_thread(thread.join)
        raise


def why_not(path: str) -> str | None:
    """Return why a file cannot be a database, in a line that does not quote its path.

    SQLite's own "unable to open database file" stands for all of these.
    """
    file = Path(path)
    if not file.parent.is_dir():
        return "the file's folder is not there"
    if file.is_dir():
        return "it is a folder, not a file"
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return f"{_user()} may not write in the file's folder"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return f"the file belongs to {_owner(file)}, and {_user()} may not write it"
    return None


def may_be_read_by_others(path: str) -> bool:
    """Tell whether other users of this machine may read the file."""
    if os.name != "posix":
        return False
    try:
        return bool(Path(path).stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _make_private(path: str) -> None:
    """Make an empty file, if there is none: SQLite's own would be open to all.

    Its log and index, which SQLite makes beside it, get the same mode.
    """
    if path.startswith(("file:", ":memory:")):
        return
    with suppress(OSError):  # it exists, or SQLite will say what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _user() -> str:
    return f"user {os.geteuid()}" if hasattr(os, "geteuid") else "this user"


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except (KeyError, NotImplementedError):
        return "somebody else"


class _Connection(sqlite3.Connection):
    """A connection that releases its locks when it is closed.

    A task that is cancelled between a statement and its rows leaves the statement open,
    and SQLite keeps a closed connection and its write lock until that is finished.
    https://www.sqlite.org/c3ref/close.html
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  as sqlite3
        super().__init__(*args, **options)
        self._cursors: WeakSet[sqlite3.Cursor] = WeakSet()
        try:
            self._prepare()
        except BaseException:  # not a database file, or not writable
            self.close()
            raise

    def cursor(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  as sqlite3
        """Open a cursor and remember it."""
        cursor = super().cursor(*args, **options)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Finish every statement, then close."""
        while self._cursors:
            self._cursors.pop().close()
        super().close()

    def _prepare(self) -> None:
        """Let readers and the one writer work at the same time."""
        self.isolation_level = None  # BEGIN is the engine's
        self.execute("PRAGMA journal_mode=WAL")
        # FULL: a commit is on the disk before the next step relies on it. With NORMAL
        # a power cut could lose the record of a sent init.
        self.execute("PRAGMA synchronous=FULL")
        self.execute("PRAGMA foreign_keys=ON")
