"""Parsers for the values of settings: each takes what was set and returns the value, or raises.

A parser raises ValueError, TypeError, AttributeError or OverflowError for what is not allowed; the
setting says in words what is.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

Parser = Callable[[Any], Any]

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


def switch(value: Any) -> bool:
    """A truth value, or a word for one."""
    if isinstance(value, bool):
        return value
    lowered = str(value).strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(value)


def text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(value)
    return value.strip()


def exchange_name(value: Any) -> str:
    """The name of an exchange."""
    # Names are made of it with a dot, so that without dots none is made of two of them. Amazon's
    # queues have 80 characters, among them the prefix that kombu puts before each.
    name = text(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name):
        raise ValueError(value)
    return name


def words(value: Any) -> tuple[str, ...]:
    """A list of words, or one string with commas between them."""
    words = value.split(",") if isinstance(value, str) else list(value)
    return tuple(text(item) for item in words if item != "")


def each(parse: Callable[[str], str]) -> Parser:
    """Words with commas or spaces between them, each of which is read by itself."""

    def parse_all(value: Any) -> tuple[str, ...]:
        return tuple(parse(one) for item in words(value) for one in item.split())

    return parse_all


def page_address(value: Any) -> str:
    """The address of a page, which is shown to people: it holds no secret."""
    address = text(value)
    found = urlsplit(address)
    plain = not (found.query or found.fragment or "@" in found.netloc or re.search(r"\s", address))
    # Reading the port checks it.
    if found.scheme not in {"http", "https"} or not found.hostname or not plain or found.port == 0:
        raise ValueError(value)
    return address.rstrip("/")


def task_selection(value: Any) -> str | tuple[str, ...]:
    """``streaming``, ``all``, or globs for names of tasks."""
    if isinstance(value, str) and value.strip() in {"streaming", "all"}:
        return value.strip()
    return words(value)


def between(low: float, high: float) -> Parser:
    """A number in a range, its ends included."""

    def parse(value: Any) -> float:
        number = float(value)
        if isinstance(value, (bool, bytes, bytearray)) or not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def whole(low: int, high: int) -> Parser:
    """A whole number in a range, its ends included."""

    def parse(value: Any) -> int:
        number = int(value)
        if isinstance(value, (bool, float, bytes, bytearray)) or not low <= number <= high:
            raise ValueError(value)
        return number

    return parse


def signing_key(value: Any) -> str:
    """A key for tokens."""
    # RFC 7518, 3.2: an HS256 key must have at least the size of the hash.
    key = text(value)
    if len(key.encode()) < MIN_KEY_BYTES:
        raise ValueError
    return key


MIN_KEY_BYTES: Final = 32


#: What leaves of a task's errors: all that they say, or no more than their type.
FULL: Final = "full"
TYPE: Final = "type"


def error_choice(value: Any) -> str:
    """Read ``stream_errors``.

    Raises:
        ValueError: it is none of the two words.
    """
    lowered = text(value).lower()
    if lowered not in {FULL, TYPE}:
        raise ValueError(value)
    return lowered


ERROR_CHOICES: Final = "'full' or 'type'"
