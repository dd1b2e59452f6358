"""Parsers for the values of settings, from Celery's configuration, the environment or options.

A parser raises ValueError, TypeError, AttributeError or OverflowError for a value that is not
allowed. The text for users is in :mod:`.settings`. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

Parser = Callable[[Any], Any]

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})

_LOG_LEVELS: Final = {
    "DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "CRITICAL": 50, "FATAL": 50,
}  # fmt: skip
LEVEL_CHOICES: Final = "a level of logging, such as 'INFO' or 20"


def switch(value: Any) -> bool:
    """Parse a bool, or a text such as ``true``, ``0``, ``yes`` or ``off``."""
    if isinstance(value, bool):
        return value
    lowered = str(value).strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(value)


def text(value: Any) -> str:
    """Parse a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def exchange_name(value: Any) -> str:
    """Parse the name of an exchange."""
    # Names of queues are this name, a dot and a suffix. Without dots in it they are unique. Amazon
    # SQS allows 80 characters, with the prefix that kombu adds.
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name):
        raise ValueError(value)
    return name


def text_list(value: Any) -> tuple[str, ...]:
    """Parse a list of texts, or one text with commas between them."""
    items = value.split(",") if isinstance(value, str) else list(value)
    return tuple(text(item) for item in items if item != "")


def each(parse: Callable[[str], object]) -> Parser:
    """Return a parser for a list of texts, or one text with commas or spaces between them."""

    def parse_all(value: Any) -> tuple[object, ...]:
        return tuple(parse(one) for item in text_list(value) for one in item.split())

    return parse_all


def network(value: str) -> IPv4Network | IPv6Network:
    """Parse a network such as ``10.0.0.0/8``, or a single address."""
    found = ip_network(value)
    # Of everybody nobody can be told apart: whoever connects would choose his address.
    if found.prefixlen == 0:
        raise ValueError(value)
    return found


def page_address(value: Any) -> str:
    """Parse the URL of a page. It is shown to users, so it must not contain secrets."""
    address = text(value)
    found = urlsplit(address)
    plain = not (found.query or found.fragment or "@" in found.netloc or re.search(r"\s", address))
    # Reading the port checks it.
    if found.scheme not in {"http", "https"} or not found.hostname or not plain or found.port == 0:
        raise ValueError(value)
    return address.rstrip("/")


def root_path(value: Any) -> str | None:
    """Parse a path such as ``/progress``, with or without a slash at its end; ``/`` is none."""
    path = text(value)
    if not re.fullmatch(r"/|(/[A-Za-z0-9._~-]+)+/?", path):
        raise ValueError(value)
    return path.rstrip("/") or None


def task_selection(value: Any) -> str | tuple[str, ...]:
    """Parse ``streaming``, ``all``, or globs for names of tasks."""
    if isinstance(value, str) and value.strip() in {"streaming", "all"}:
        return value.strip()
    return text_list(value)


def between(low: float, high: float) -> Parser:
    """Return a parser for a number in a range, its ends included."""

    def parse(value: Any) -> float:
        number = float(value)
        if isinstance(value, (bool, bytes, bytearray)) or not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def whole(low: int, high: int) -> Parser:
    """Return a parser for a whole number in a range, its ends included."""

    def parse(value: Any) -> int:
        number = int(value)
        if isinstance(value, (bool, float, bytes, bytearray)) or not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def log_level(value: Any) -> int:
    """Parse a level of :mod:`logging`: its name, or a number."""
    if isinstance(value, str) and value.strip().upper() in _LOG_LEVELS:
        return _LOG_LEVELS[value.strip().upper()]
    return whole(1, 1_000)(value)  # type: ignore[no-any-return]


def signing_key(value: Any) -> str:
    """Parse the key for tokens."""
    # RFC 7518, section 3.2: an HS256 key must have at least the size of the hash.
    key = text(value)
    # A public key is known to everybody, so it must not become a secret.
    if len(key.encode()) < MIN_KEY_BYTES or key.startswith("-----BEGIN"):
        raise ValueError
    return key


def named_keys(value: Any) -> dict[str, str] | None:
    """Parse keys for tokens by their names: a mapping, or the text of a JSON object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            # JSONDecodeError keeps the whole text in `doc`.
            raise ValueError from None
    return {text(name): signing_key(key) for name, key in dict(value).items()} or None


def key_place(value: str) -> str:
    """Parse the place of public keys: a path, or the URL of a JWKS, without a password."""
    if "://" in value:
        page_address(value.partition("?")[0])
    return value


def function_path(value: Any) -> str:
    """Parse the path of a function: ``module:function``."""
    path = text(value)
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", path):
        raise ValueError(value)
    return path


def cookie_name(value: Any) -> str:
    """Parse the name of a cookie (RFC 6265, section 4.1.1)."""
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name):
        raise ValueError(value)
    return name


MIN_KEY_BYTES: Final = 32


#: The values of ``stream_errors``: the text of an error is published, or only its type.
FULL: Final = "full"
TRACEBACK: Final = "traceback"
TYPE: Final = "type"


def error_choice(value: Any) -> str:
    """Parse ``stream_errors``."""
    choice = text(value).lower()
    if choice not in {FULL, TYPE, TRACEBACK}:
        raise ValueError(value)
    return choice


ERROR_CHOICES: Final = "'full' or 'type' or 'traceback'"
