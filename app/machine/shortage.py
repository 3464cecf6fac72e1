"""Whether something failed because this process or machine is short of resources.

Such a failure says nothing about a post, TikTok or a person's media.
"""

import errno
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

AGAIN_AFTER: Final = timedelta(seconds=5)
"""How long work is put off because of a shortage."""

_LACKING: Final = frozenset(
    {
        errno.EMFILE,  # file descriptors, of the process
        errno.ENFILE,  # of the machine
        errno.ENOMEM,
        errno.ENOBUFS,
    }
)
_LACKING_TO_LOOK_UP: Final = frozenset(
    getattr(socket, name)
    for name in ("EAI_MEMORY", "EAI_SYSTEM")
    if hasattr(socket, name)
)
_NO_THREAD: Final = "can't start new thread"


def is_shortage(error: BaseException) -> bool:
    """Tell whether an error, or its cause, is a shortage of our own."""
    return any(map(_is_one, _causes(error)))


def _is_one(error: BaseException) -> bool:
    match error:
        case MemoryError():
            return True
        case socket.gaierror():
            return error.errno in _LACKING_TO_LOOK_UP
        case OSError():
            return error.errno in _LACKING
        case RuntimeError():
            return _NO_THREAD in str(error)
        case _:
            return False


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
