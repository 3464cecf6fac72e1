"""The sockets that callers connect to."""

import os
import socket
from contextlib import suppress
from typing import Final

RECEIVED_AHEAD: Final = 64 * 1024
"""The receive buffer of a caller's socket in bytes: no body is much larger."""

UNREAD: Final = 128 * 1024
"""The limit of unsent bytes in a caller's socket."""

GONE_AFTER_SECONDS: Final = 60
"""How long a caller may acknowledge nothing before it counts as gone."""

ALL_OF_IPV6: Final = "::"


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of a host, without listening yet.

    ``::`` accepts IPv4 too, whatever the system's default. Port 0 takes any free port.
    Raises OSError.
    """
    bound: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            bound.append(_bound(family, address, both=host == ALL_OF_IPV6))
    except BaseException:
        for each in bound:
            each.close()
        raise
    return bound


def _addresses(host: str, port: int) -> list[tuple[int, tuple[object, ...]]]:
    found = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((entry[0], entry[4]) for entry in found))


def _bound(family: int, address: tuple[object, ...], *, both: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        _inherited(listener)
        listener.setblocking(False)
        listener.bind(address)
    except OSError as error:
        listener.close()
        reason = error.strerror or "cannot be listened on"
        raise OSError(
            error.errno, f"{address[0]} port {address[1]}: {reason}"
        ) from None
    return listener


def _inherited(listener: socket.socket) -> None:
    """Set options that callers' sockets inherit, where the system supports them.

    Setting them here costs nothing per connection. https://man7.org/linux/man-pages/man7/tcp.7.html
    """
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_AHEAD)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", GONE_AFTER_SECONDS),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", GONE_AFTER_SECONDS * 1000),
        ("TCP_NOTSENT_LOWAT", UNREAD),
    ):
        if (option := getattr(socket, name, None)) is not None:
            with suppress(OSError):
                listener.setsockopt(socket.IPPROTO_TCP, option, value)
