"""Parse the transport options of a broker, from configuration, JSON or command line. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

#: Options with these names are texts, even if they look like numbers.
SECRET_NAMES: Final = re.compile(r"pass|secret|token|credential|access_key", re.IGNORECASE)

_NAME: Final = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d{1,17})?")
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "none": None}


def transport_options(value: Any) -> dict[str, Any]:
    """Parse a mapping, the text of a JSON object, or any number of ``NAME=VALUE``.

    Raises:
        ValueError: it is none of these. The error does not contain the value.
    """
    if isinstance(value, Mapping):
        options = dict(value)
        if not all(isinstance(name, str) for name in options):
            raise ValueError
        return options
    if isinstance(value, str):
        return _from_text(value.strip())
    found: dict[str, Any] = {}
    for pair in value:
        _put(found, pair)
    return found


def _from_text(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return transport_options([text])
    options = _decode(text)
    if not isinstance(options, dict):
        raise ValueError  # noqa: TRY004 - as for all bad values
    return options


def _put(options: dict[str, Any], pair: str) -> None:
    name, separator, value = pair.partition("=")
    if not separator or not _NAME.fullmatch(name):
        raise ValueError
    *path, last = name.split(".")
    for key in path:
        options = options.setdefault(key, {})
        if not isinstance(options, dict):
            raise ValueError  # noqa: TRY004 - as for all bad values
    options[last] = value if SECRET_NAMES.search(name) else _value(value)


def _value(text: str) -> Any:
    """Return the number, constant or JSON structure that the text clearly is; else the text."""
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER.fullmatch(text) or text[:1] in {"{", "[", '"'}:
        return _decode(text)
    return text


def _decode(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        # JSONDecodeError keeps the whole text in `doc`.
        raise ValueError from None
