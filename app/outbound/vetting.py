"""Which network addresses may be called. Pure."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final

NAT64: Final = IPv6Network("64:ff9b::/96")
"""Leads to the IPv4 address in its last 32 bits. RFC 6052"""

SPECIAL: Final = IPv4Network("192.0.0.0/24")
"""For protocols, not for hosts; older Pythons take some of it for global. RFC 6890"""


def is_public(text: str) -> bool:
    """Tell whether an address is everybody's, whatever it is wrapped in.

    Raises ValueError for what is no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv4Address):
        return _is_global(address) and address not in SPECIAL
    embedded = _embedded(address)
    if embedded is not None:
        return is_public(str(embedded))
    # Teredo, 6to4 and the like lead to IPv4 hosts that nobody vetted.
    tunnels = address.sixtofour is not None or address.teredo is not None
    return _is_global(address) and not tunnels


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address only spells differently."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped
