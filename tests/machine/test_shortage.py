"""A shortage of our own is told from what others do."""

import errno
import socket
from datetime import timedelta

import pytest

from app.machine.shortage import AGAIN_AFTER, is_shortage


def caused(outer: Exception, inner: BaseException) -> Exception:
    """Chain two errors."""
    outer.__cause__ = inner
    return outer


def test_what_we_lack_is_tried_again_soon() -> None:
    """Within ten seconds, as it may be there again at any moment."""
    assert timedelta(0) < AGAIN_AFTER <= timedelta(seconds=10)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENFILE, "Too many open files in system"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError(errno.ENOBUFS, "No buffer space available"),
        MemoryError(),
        RuntimeError("can't start new thread"),
        socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
        caused(ConnectionError("no connection"), OSError(errno.EMFILE, "")),
        caused(ValueError(), caused(ConnectionError(), MemoryError())),
    ],
    ids=repr,
)
def test_what_we_lack_is_a_shortage(error: Exception) -> None:
    """Descriptors, threads, memory, however deep the cause lies."""
    assert is_shortage(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError("Too many open files"),  # somebody's words
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        TimeoutError(),
        RuntimeError("no running event loop"),
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    ],
    ids=repr,
)
def test_what_others_do_is_none(error: Exception) -> None:
    """A failure of others is no shortage of our own, so it counts."""
    assert not is_shortage(error)


def test_causes_may_go_round_in_a_circle() -> None:
    """Such a chain has an end, too."""
    one, other = ValueError(), KeyError()
    one.__cause__, other.__cause__ = other, one
    assert not is_shortage(one)
