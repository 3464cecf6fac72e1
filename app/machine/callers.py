"""Whom a task works for, and whose an address is: to share out scarce resources."""

from contextvars import Context, ContextVar, copy_context
from ipaddress import IPv6Network, ip_address
from typing import Final

_caller: Final[ContextVar[str | None]] = ContextVar("caller", default=None)


def present_caller() -> str | None:
    """Return the current task's caller, None for the service itself."""
    return _caller.get()


def act_for(caller: str) -> None:
    """Count the rest of a block of ``acting_for`` towards another caller's share."""
    _caller.set(caller)


class acting_for:  # noqa: N801 - used like a function
    """Count this block towards a caller's share."""

    # No generator: every request passes here.
    __slots__ = ("_caller", "_token")

    def __init__(self, caller: str | None) -> None:
        self._caller = caller

    def __enter__(self) -> None:
        self._token = _caller.set(self._caller)

    def __exit__(self, *_: object) -> None:
        _caller.reset(self._token)


def shared_context() -> Context:
    """Return a context without a caller, for a task that many callers wait for."""
    context = copy_context()
    context.run(_caller.set, None)
    return context


_HOME: Final = 64  # bits of an IPv6 address that one customer has for himself


def home_of(peer: str) -> str:
    """Return an IPv4 address, or the network of a customer's 2^64 IPv6 addresses.

    What is no address comes back as it is.
    """
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if (mapped := address.ipv4_mapped) is not None:
        return str(mapped)
    return str(IPv6Network((int(address), _HOME), strict=False))
