"""Any Python value -> JSON-safe builtins of a bounded size. Nothing here raises.

What tasks report may be anything: a datetime, an ORM object, a structure that contains itself,
an object whose ``__str__`` raises. A bar is never worth a failed task, so every value becomes
*something*, and a value that is too large becomes a visibly marked piece of itself.

Sizes are counted in bytes of JSON, as they travel. With the limits below no event can pass
:data:`MAX_EVENT_BYTES`, which lets every event fit into one batch.

A rendered value is a copy: what the task changes later does not change it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple, get_args

import msgspec

from celery_wsprogress.events import Level

MAX_MESSAGE_BYTES: Final = 2_000
MAX_DETAILS_BYTES: Final = 8_000
"""Of ``details`` and of ``metadata``, each."""
MAX_RESULT_BYTES: Final = 24_000
MAX_NAME_BYTES: Final = 500
"""Of task names, queues, workers, units and status words."""
MAX_TAGS: Final = 50
MAX_TAG_BYTES: Final = 100
MAX_EVENT_BYTES: Final = 30_000

_PREVIEW_BYTES: Final = 1_000
_MAX_DEPTH: Final = 40
"""Deeper values would be a danger to whoever reads them with a recursive parser."""
_MAX_NODES: Final = 20_000
"""What the walk in Python visits before it gives up on a value."""

_UNPRINTABLE: Final = "… [unprintable {}]"


class Rendered(NamedTuple):
    """A value as it can be sent."""

    value: Any
    truncated: bool


_NOTHING: Final = Rendered(None, truncated=False)


def plain(value: Any) -> Any:
    """The value as ``None``, ``bool``, ``int``, finite ``float``, ``str``, ``list`` and ``dict``.

    NaN and infinities become null. Not bounded in size.
    """
    return msgspec.json.decode(_json(value))


def result(value: Any) -> Rendered:
    """What a task returned. Above the limit it is the beginning of its JSON, marked as such."""
    if value is None:
        return _NOTHING
    encoded = _json(value)
    if len(encoded) <= MAX_RESULT_BYTES:
        return Rendered(msgspec.json.decode(encoded), truncated=False)
    mark = f"… [truncated: {len(encoded):,} bytes]"
    head = encoded[:_PREVIEW_BYTES].decode("utf-8", "ignore")
    return Rendered(head + mark, truncated=True)


def mapping(value: Any) -> dict[str, Any]:
    """``details`` or ``metadata``: always an object, whatever was passed.

    What renders to something else than an object is its ``value``. Above the limit it is
    replaced by ``{"truncated": true, "bytes": …, "preview": …}``.
    """
    if value is None:
        return {}
    encoded = _json(value)
    if len(encoded) > MAX_DETAILS_BYTES:
        head = encoded[:_PREVIEW_BYTES].decode("utf-8", "ignore")
        return {"truncated": True, "bytes": len(encoded), "preview": head + "…"}
    found = msgspec.json.decode(encoded)
    return found if isinstance(found, dict) else {"value": found}


def text(value: Any, limit: int = MAX_MESSAGE_BYTES) -> str:
    """Anything with a ``str``, cut to so many bytes of JSON with a mark at the cut."""
    said = value if type(value) is str else _said(value)
    # In JSON a character takes six bytes at the most (a control character), so most texts
    # need no look at their encoding.
    if len(said) * 6 <= limit and said.isascii():
        return said
    return _cut(_encodable(said), limit)


def error(exception: Any) -> tuple[str, str]:
    """An exception's text (never empty) and the name of its class.

    What is no exception (Celery hands on a text here and there) is an ``UnknownError``.
    """
    known = _is_a(exception, BaseException)
    name = text(type(exception).__name__, MAX_NAME_BYTES) if known else "UnknownError"
    return text(exception).strip() or name, name


def cause(exception: BaseException) -> str:
    """An exception as one reads it at the end of a traceback: ``ValueError: text``."""
    said, name = error(exception)
    return name if said == name else text(f"{name}: {said}")


def tags(value: Any) -> list[str]:
    """A list of short texts. One text is a list of one; what is no list is none."""
    if _is_a(value, str):
        value = [value]
    if not _is_a(value, (list, tuple, set, frozenset)):
        return []
    found = [text(tag, MAX_TAG_BYTES) for tag in (_guarded(list, value) or [])[:MAX_TAGS]]
    return [tag for tag in found if tag]


_LEVELS: Final[Mapping[str, Level]] = {
    **{level: level for level in get_args(Level)},
    "warn": "warning",
    "fatal": "critical",
    "exception": "error",
}


def level(value: Any) -> Level | None:
    """A level word or one of Python's level numbers as one of the protocol's five words.

    None for what is neither.
    """
    if _is_a(value, str):
        return _LEVELS.get(_said(value).strip().lower())
    if _is_a(value, bool) or not _is_a(value, (int, float)):
        return None
    words: tuple[tuple[int, Level], ...] = (
        (50, "critical"),
        (40, "error"),
        (30, "warning"),
        (20, "info"),
    )
    return next((word for least, word in words if value >= least), "debug")


# How a value becomes JSON.


def _json(value: Any) -> bytes:
    """The value as strict JSON, of a depth that every parser can read."""
    encoded: bytes | None = _guarded(_encode, value)
    if encoded is not None and _is_shallow(encoded):
        return encoded
    # Odd keys, cycles, surrogates, or much too deep: the slow way, which takes anything.
    return _encode(_Walk().render(value, _MAX_DEPTH))


def _encode(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=_stranger)


def _is_shallow(encoded: bytes) -> bool:
    if encoded.count(b"[") + encoded.count(b"{") <= _MAX_DEPTH:
        return True
    layer: list[Any] = [_guarded(msgspec.json.decode, encoded)]
    for _ in range(_MAX_DEPTH):
        layer = [child for parent in layer for child in _children(parent)]
        if not layer:
            return True
    return False


def _children(value: Any) -> Iterable[Any]:
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)):
        return ()
    return [child for child in inner if isinstance(child, (dict, list))]


def _stranger(value: Any) -> Any:
    """What msgspec asks for a value (or a key) of a type it does not know."""
    if isinstance(value, (str, int, float)):
        return _unwrapped(value)
    if isinstance(value, BaseException):
        return cause(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "dtype") and hasattr(value, "item"):
        # NumPy's scalars and arrays of one element; others print themselves, shortened.
        item = _guarded(type(value).item, value)
        return _said(value) if item is None or type(item) is type(value) else item
    return _said(value)


def _unwrapped(value: str | float) -> str | int | float:
    """The builtin in an instance of a subclass (``StrEnum`` of a library, ``np.float64``)."""
    if isinstance(value, str):
        return str.__str__(value)
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


class _Walk:
    """Renders a value node by node, with a limit on how deep and how far it goes."""

    def __init__(self) -> None:
        self._left = _MAX_NODES

    def render(self, value: Any, depth: int) -> Any:
        """Never raises: what cannot even be looked at becomes a text."""
        found = _guarded(lambda: [self._render(value, depth)])
        return found[0] if found else _encodable(_said(value))

    def _render(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, str):
            return _encodable(str.__str__(value))
        if depth <= 0 or self._left <= 0:
            return "…"
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple, AbstractSet)):
            return [self.render(item, depth - 1) for item in self._some(value)]
        return self._leaf(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        pairs = _guarded(lambda: list(value.items())) or ()
        return {
            _encodable(_key(key)): self.render(item, depth - 1) for key, item in self._some(pairs)
        }

    def _some(self, items: Iterable[Any]) -> list[Any]:
        # A copy: another thread may change the original meanwhile.
        return (_guarded(lambda: list(items)) or [])[: max(0, self._left)]

    def _leaf(self, value: Any, depth: int) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return base64.b64encode(bytes(value)).decode()
        fields = getattr(type(value), "__dataclass_fields__", None)
        if fields is not None:
            return self._mapping({name: _attribute(value, name) for name in fields}, depth)
        encoded = _guarded(_encode, value)
        if encoded is None or not _is_shallow(encoded):
            return _encodable(_said(value))
        return msgspec.json.decode(encoded)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    return _said(key)


def _attribute(value: Any, name: str) -> Any:
    return _guarded(lambda: getattr(value, name, None))


def _said(value: Any) -> str:
    """``str()``, else ``repr()``, else a mark: there are objects that can neither."""
    for way in (str, repr):
        said = _guarded(way, value)
        if isinstance(said, str):
            return str.__str__(said)
    return _UNPRINTABLE.format(type(value).__name__)


def _is_a(value: Any, kind: type[Any] | tuple[type[Any], ...]) -> bool:
    """``isinstance``, of a value that may be a lazy proxy: it runs the code of such a one."""
    return bool(_guarded(isinstance, value, kind))


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call code of somebody else's that may raise anything; None when it does."""
    try:
        return function(*arguments)
    except Exception as exc:
        if is_of_the_task(exc):
            raise
        return None


def is_of_the_task(exc: Exception) -> bool:
    """Whether it only passes through: the task is to see it.

    Celery delivers a soft time limit as an exception in the middle of whatever the task's
    thread executes. (It is known by its name: this module imports no Celery.)
    """
    return type(exc).__name__ == "SoftTimeLimitExceeded"


# Texts.


def _encodable(said: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot hold."""
    return said if said.isascii() else said.encode("utf-8", "replace").decode("utf-8")


def _cut(said: str, limit: int) -> str:
    # The quotes do not count.
    if len(said) <= limit and len(msgspec.json.encode(said)) - 2 <= limit:
        return said
    # JSON escapes make the size of a text hard to tell in advance, so it is approached.
    keep = limit
    while True:
        mark = f"… [truncated: {len(said):,} characters]"
        piece = said[:keep] + mark
        over = len(msgspec.json.encode(piece)) - 2 - limit
        if over <= 0:
            return piece
        if keep == 0:
            return said[:0] + "…"
        keep = max(0, keep - max(1, over // 6))
