"""The address of a client, behind the proxies that are listed, and the key that limits count by.

Whoever connects may write any ``X-Forwarded-For``. Each proxy appends the address that it was
connected from, so what a listed proxy appended is true, and what stands left of the first address
that is no listed proxy is what the client wrote. RFC 7239's ``Forwarded`` is not read: a proxy that
appends to one of the two headers passes the other one on as the client wrote it.

Pure.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeAlias

from celery_wsprogress.urls import address_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_PROXIES: Final = 16
"""Maximum number of proxies in a row that are looked behind."""

IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that name a network; its owner chooses the others (RFC 4291, 2.5.4)."""

UNIX_PEER: Final = "unix"
"""The address of what is connected over a Unix socket."""

_ENTRY: Final = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::\d{1,5})?|([0-9.]{7,15})(?::\d{1,5})?")
"""An address in brackets or an IPv4 address, maybe with a port, as some gateways write it."""
_MAX_ENTRY_LENGTH: Final = 60


def client_address(
    peer: str, forwarded_for: Sequence[str], trusted_proxies: Sequence[Network]
) -> str:
    """Return the address of the client that a request comes from.

    Args:
        peer: The address that the connection comes from.
        forwarded_for: The values of ``X-Forwarded-For``, in their order.
        trusted_proxies: The networks of the listed proxies.

    Returns:
        The rightmost address that is no listed proxy; the peer's, if it is none, or if a listed
        proxy has forwarded something that is no address. IPv4 addresses are written as such.
    """
    connected = _address(peer)
    if connected is None:
        # Over a Unix socket: whoever its rights let in is a proxy on this machine.
        last = next(_entries(forwarded_for), "") if peer == UNIX_PEER else ""
        connected = _address(last)
        if connected is None:
            return peer
    address = connected
    for entry in islice(_entries(forwarded_for), MAX_PROXIES):
        if not any(address in network for network in trusted_proxies):
            break
        before = _address(entry)
        if before is None:
            return str(connected)
        address = before
    return str(address)


def address_key(address: str) -> str:
    """Return the key by which the limits of an address count.

    An IPv6 address counts as its /64, and one that maps an IPv4 address as that. All texts that are
    no address have one key, the empty text.
    """
    found = _address(address)
    if found is None:
        return ""
    if isinstance(found, IPv4Address):
        return str(found)
    return str(IPv6Network((found, IPV6_PREFIX), strict=False))


def _entries(values: Sequence[str]) -> Iterator[str]:
    """Yield the entries of a header, the last one first."""
    for value in reversed(values):
        yield from reversed(value.split(","))


def _address(text: str) -> Address | None:
    text = text.strip(" \t")
    if len(text) > _MAX_ENTRY_LENGTH:
        return None
    match = _ENTRY.fullmatch(text)
    address = address_of(match[1] or match[2] if match else text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
