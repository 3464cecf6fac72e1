"""Which network addresses may be called. Pure.

The ranges are listed here, because what Python's ``ipaddress`` calls global differs
between versions.
https://www.iana.org/assignments/iana-ipv4-special-registry/
https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final

NAT64: Final = IPv6Network("64:ff9b::/96")
"""Translates to the IPv4 address in its last 32 bits. RFC 6052"""

MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""Contains an IPv4 address in its last 32 bits. RFC 4291"""

UNICAST: Final = IPv6Network("2000::/3")
"""The only range assigned as global; everything else is local or unassigned."""

NOT_PUBLIC_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # between a carrier and its customers
            "127.0.0.0/8",  # this machine
            "168.63.129.16/32",  # Azure's answers to its own machines
            "169.254.0.0/16",  # this link, and the clouds' metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # a sink for questions about private addresses
            "192.52.193.0/24",  # multicast relays
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # a sink, as above
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

NOT_PUBLIC_IPV6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, Teredo among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: leads to IPv4 hosts that nobody vetted
            "2620:4f:8000::/48",  # a sink, as above
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(text: str) -> bool:
    """Tell whether an address is public, also if it embeds an IPv4 address.

    Raises ValueError for a text that is no address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address not in NAT64 and address not in MAPPED:
            return address in UNICAST and _in_none(address, NOT_PUBLIC_IPV6)
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
    return _in_none(address, NOT_PUBLIC_IPV4)


def _in_none(
    address: IPv4Address | IPv6Address,
    networks: tuple[IPv4Network, ...] | tuple[IPv6Network, ...],
) -> bool:
    return not any(address in network for network in networks)
