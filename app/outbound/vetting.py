"""Which network addresses may be called. Pure."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
"""An IPv4 address hides in the last 32 bits of these. RFC 6052, RFC 8215"""


def is_public(text: str) -> bool:
    """Tell whether an address is everybody's, whatever it is wrapped in.

    Raises ValueError for what is no address.
    """
    address = ip_address(text.partition("%")[0])
    return all(_is_global(each) for each in (address, *_wrapped(address)))


def _is_global(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return ()
    found: list[Address] = []
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if any(address in network for network in NAT64):
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(found)
