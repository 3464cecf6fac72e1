"""Where callers connect to."""

import socket

import pytest

from app.serving.listeners import GONE_AFTER_SECONDS, bind
from tests.system.programs import free_port

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")


def families(host: str) -> set[str]:
    """Return the addresses that a host can be reached at, out of three."""
    bound = bind(host, 0 if host else free_port())  # one port for both families
    for listener in bound:
        listener.listen()
    found = set()
    for listener in bound:
        for address in ("127.0.0.1", "::1"):
            with socket.socket(
                socket.AF_INET6 if ":" in address else socket.AF_INET
            ) as caller:
                if caller.connect_ex((address, listener.getsockname()[1])) == 0:
                    found.add(address)
    for listener in bound:
        listener.close()
    return found


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", {"127.0.0.1"}),
        ("0.0.0.0", {"127.0.0.1"}),
        ("::1", {"::1"}),
        ("::", {"127.0.0.1", "::1"}),
        ("", {"127.0.0.1", "::1"}),
    ],
)
def test_a_host_means_its_families(host: str, reached: set[str]) -> None:
    """``::`` is everybody's; what names one family is one."""
    assert families(host) == reached


def test_an_address_that_cannot_be_had_is_named() -> None:
    """One line for the operator, and no socket left open."""
    (taken,) = bind("127.0.0.1", 0)
    port = taken.getsockname()[1]
    taken.listen()
    with pytest.raises(OSError, match=f"127.0.0.1 port {port}: Address already in use"):
        bind("127.0.0.1", port)
    with pytest.raises(OSError, match=r"192\.0\.2\.1 port"):
        bind("192.0.2.1", port)
    taken.close()


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux inherits them"
)
def test_callers_inherit_what_the_listener_was_told() -> None:
    """A peer that is gone is noticed, and no peer fills the kernel's memory."""
    (listener,) = bind("127.0.0.1", 0)
    listener.listen()
    with socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
    option = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert option == GONE_AFTER_SECONDS * 1000
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 256 * 1024
    accepted.close()
    listener.close()
