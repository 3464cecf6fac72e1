"""Which addresses are everybody's."""

from ipaddress import ip_network

import pytest

from app.outbound.vetting import is_public

NOT_PUBLIC = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carriers; Alibaba's metadata are at 100.100.100.200",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "Azure's own",
    "169.254.0.0/16": "link-local; most clouds' metadata are at 169.254.169.254",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocols; Oracle's metadata are at 192.0.0.192",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT relays",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::/96": "unspecified, loopback, IPv4-compatible",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b:1::/48": "NAT64 of one's own",
    "100::/64": "discarded",
    "100:0:0:1::/64": "dummy",
    "2001::/32": "Teredo",
    "2001:2::/48": "benchmarks",
    "2001:3::/32": "AMT relays",
    "2001:10::/28": "ORCHID",
    "2001:20::/28": "ORCHID",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "4000::/2": "given out to nobody",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local; Amazon's metadata are at fd00:ec2::254",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
}
"""Written here once more, by hand: no list of Python's or ours is asked."""


@pytest.mark.parametrize("network", NOT_PUBLIC)
def test_no_address_of_a_special_range_is_called(network: str) -> None:
    """No address of a special range is called, from its first to its last."""
    addresses = ip_network(network)
    middle = addresses[addresses.num_addresses // 2]
    for address in (addresses[0], middle, addresses[-1]):
        assert not is_public(str(address))
        if address.version == 4:
            assert not is_public(f"::ffff:{address}")
            assert not is_public(f"64:ff9b::{address}")


@pytest.mark.parametrize(
    "address",
    [
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "168.63.129.15",
        "168.63.129.17",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.88.98.255",
        "192.88.100.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::",
        "2003::",
        "3ffe::",
        "3fff:1000::",
    ],
)
def test_their_neighbours_are(address: str) -> None:
    """A range ends where it ends."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.9.10",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "2001:0:7f00:1::",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_what_is_not_everybodys_is_refused(address: str) -> None:
    """Private, local and reserved, in whatever it is wrapped."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::101:101"],
)
def test_what_is_everybodys_may_be_called(address: str) -> None:
    """A public address stays public behind NAT64."""
    assert is_public(address)
