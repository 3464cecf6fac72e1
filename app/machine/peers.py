"""Whose an address is."""

from ipaddress import IPv6Network, ip_address
from typing import Final

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
