"""Whose address a request has, and by what it is counted."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_values import texts

from celery_wsprogress.access.addresses import (
    MAX_PROXIES,
    UNIX_PEER,
    address_key,
    client_address,
)

PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]

addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)
strangers = addresses.filter(lambda one: not is_listed(one))
listed = st.ip_addresses(network=PROXIES[0]) | st.ip_addresses(network=PROXIES[1])
written = st.lists(texts | addresses.map(str) | st.text("0123456789.:[]%, \t", max_size=30))


def is_listed(address):
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in PROXIES)


def plain(address):
    return str(getattr(address, "ipv4_mapped", None) or address)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9,198.51.100.1 ,\t10.9.9.9 "], "198.51.100.1"),
        ("10.0.0.1", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:DB8::0:7"], "2001:db8::7"),
        ("fd00::1%eth0", ["2001:db8::7"], "2001:db8::7"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, _hidden, 10.9.9.9"], "10.0.0.1"),
        ("10.0.0.1", ["1" * 100_000], "10.0.0.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_rightmost_address_that_is_no_listed_proxy(peer, forwarded_for, address):
    assert client_address(peer, forwarded_for, PROXIES) == address


def test_no_header_is_believed_where_no_proxy_is_listed():
    assert client_address("10.0.0.1", ["198.51.100.1"], []) == "10.0.0.1"


def test_a_chain_of_proxies_has_an_end():
    chain = ["198.51.100.1", *(f"10.0.0.{number}" for number in range(100))]
    assert client_address("10.1.1.1", [", ".join(chain)], PROXIES) == f"10.0.0.{100 - MAX_PROXIES}"


@given(strangers, written)
def test_nobody_but_a_listed_proxy_chooses_an_address(peer, forwarded_for):
    assert client_address(str(peer), forwarded_for, PROXIES) == plain(peer)


@given(strangers, written, st.lists(listed, min_size=1, max_size=MAX_PROXIES), st.booleans())
def test_what_a_client_writes_before_the_proxies_changes_nothing(client, lies, proxies, joined):
    """Each proxy appends the address that it was connected from."""
    *appended, peer = [str(one) for one in (client, *proxies)]
    values = [", ".join([*lies, *appended])] if joined else [*lies, *appended]
    assert client_address(peer, values, PROXIES) == plain(client)


@given(texts | addresses.map(str), written)
def test_an_address_comes_of_anything(peer, forwarded_for):
    found = client_address(peer, forwarded_for, PROXIES)
    assert found == peer or ip_address(found)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("somebody", ""),
    ],
)
def test_what_an_address_is_counted_by(address, key):
    assert address_key(address) == key


@given(st.ip_addresses(v=4))
def test_each_ipv4_address_counts_by_itself(address):
    assert address_key(str(address)) == str(address)
    assert address_key(str(IPv6Address(f"::ffff:{address}"))) == str(IPv4Address(address))


@given(st.ip_addresses(network="2001:db8::/32"), st.integers(0, 2**64 - 1))
def test_who_has_a_network_gets_no_second_key_by_changing_his_address(address, host):
    neighbour = IPv6Address(int(address) >> 64 << 64 | host)
    assert address_key(str(neighbour)) == address_key(str(address))


@given(texts)
def test_a_key_is_short(text):
    assert len(address_key(text)) < 50


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        ([], UNIX_PEER),
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, 10.0.0.1"], "203.0.113.7"),
        (["nothing"], UNIX_PEER),
    ],
)
def test_what_connects_over_a_unix_socket_is_a_listed_proxy(forwarded_for, address):
    assert client_address(UNIX_PEER, forwarded_for, PROXIES) == address


def test_only_who_connects_over_a_unix_socket_is_one():
    assert client_address("", ["203.0.113.7"], []) == ""
