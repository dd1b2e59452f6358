"""URLs: that of the sidecar, hosts, and their text without a password. Pure."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

DEFAULT_URL: Final = "ws://localhost:8765"
"""Where clients look for the sidecar."""

URL_VARIABLE: Final = "WSPROGRESS_WS_URL"
"""The variable that says where it is."""


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is a loopback one."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = address_of(name)
    return address is not None and address.is_loopback


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address of a host; None if the host is a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def masked(url: str) -> str:
    """Return a URL without its password, for logs and screens.

    Several URLs separated by ``;`` (kombu's failover form) are masked one by one. A password may
    contain unquoted ``@ / # ? ;``: if its end is not clear, too much is masked.
    """
    return ";".join(_masked(part) for part in _NEXT_URL.split(url))


def without_password(text: str) -> str:
    """Return a text that may be a URL, or a list of some, without passwords."""
    return masked(text) if "://" in text else text


def _masked(url: str) -> str:
    found = _SCHEME.match(url)
    scheme = found[0] if found else ""
    remainder = url.removeprefix(scheme)
    # The last `@`, not the first: a password may contain one.
    userinfo, at, location = remainder.rpartition("@")
    if not at and not _HOST_AND_PORT.match(location):
        return f"{scheme}**"
    user = userinfo.partition(":")[0]
    shown = f"{user}:**" if ":" in userinfo and _USER.fullmatch(user) else "**"
    # kombu reads options from the query, passwords among them: only their names are shown.
    location, _, query = location.partition("#")[0].partition("?")
    names = "&".join(f"{pair.partition('=')[0]}=**" for pair in query.split("&") if pair)
    return scheme + (shown + at if at else "") + location + (f"?{names}" if names else "")


_SCHEME: Final = re.compile(r"[A-Za-z][\w+.-]*://")
_NEXT_URL: Final = re.compile(rf";(?={_SCHEME.pattern})")
_USER: Final = re.compile(r"[^/?#]*")
_HOST_AND_PORT: Final = re.compile(r"([^\s:/?#\[\]]*|\[[^\s/?#\]]*\])(:\d+)?(?=[/?#]|$)")
"""A host with or without a port, but not a user with the beginning of a password."""
