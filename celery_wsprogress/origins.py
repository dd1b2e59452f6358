"""Parse origins and host names of the settings into the form in which they are compared. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from celery_wsprogress.urls import address_of

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_WEBSOCKET_SCHEMES: Final = frozenset({"ws", "wss"})
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_SERVICE_LINK: Final = re.compile(r"(tcp|udp|sctp)://", re.IGNORECASE)


def origin(text: str) -> str:
    """Return an origin as browsers send it: lower case, without a slash and a default port.

    Raises:
        ValueError: it is not the origin of a page.
    """
    parts = urlsplit(text)
    extra = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    if not parts.scheme or not parts.hostname or extra or parts.scheme in _WEBSOCKET_SCHEMES:
        raise ValueError(text)
    port = _port(parts.port, _DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{_normalized(parts.hostname)}{port}"


def host_name(text: str) -> str:
    """Return the name of a server without its port.

    Raises:
        ValueError: it is not a host name or an address.
    """
    if address_of(text) is not None:
        return text.strip("[]").lower()
    parts = urlsplit(f"//{text}")
    if "://" in text or parts.path.strip("/") or parts.query or parts.fragment or "@" in text:
        raise ValueError(text)
    _port(parts.port, None)
    return _normalized(parts.hostname or "")


def listen_host(text: str) -> str:
    """Return a name or address to listen on.

    Raises:
        ValueError: it has a scheme, a port or a path.
    """
    if address_of(text) is None and (re.search(r"[\s/:*?#@]", text)):
        raise ValueError(text)
    return text


def is_service_link(value: object) -> bool:
    """Return whether a value is the address that Kubernetes or Docker sets for a service.

    Every container has ``<SERVICE>_PORT=tcp://10.0.0.7:8765`` in its environment.
    """
    return isinstance(value, str) and _SERVICE_LINK.match(value) is not None


def _port(port: int | None, default: int | None) -> str:
    if port == 0:
        raise ValueError(port)
    return "" if port in {None, default} else f":{port}"


def _normalized(host: str) -> str:
    """Return a host as browsers send it: lower case, IDNA, IPv6 addresses in brackets."""
    address = address_of(host)
    if address is not None:
        return f"[{host}]" if ":" in host else host
    name = host.rstrip(".").encode("idna").decode().lower()
    if not _HOST_NAME.fullmatch(name):
        raise ValueError(host)
    return name
