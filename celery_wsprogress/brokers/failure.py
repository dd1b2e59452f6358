"""What went wrong with a broker, in a sentence for people that holds no secret.

What a client library says may quote the URL, and so a password: of most errors only the class is
shown. What the server itself answered is shown, with the words of the address that are secret left
out: nobody else knows which right, memory or queue it wants.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.option_values import SECRET_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Classes whose text is the server's own answer, and the module of their library. By name: no
#: client library is loaded for it.
_ANSWERS: Final = {
    "ResponseError": "redis",
    "AuthenticationError": "redis",
    "BusyLoadingError": "redis",
    "AMQPError": "amqp",
    "ClientError": "botocore",
    "BrokerBlocked": "celery_wsprogress",
    "ImportError": "builtins",
}

#: Answers of Redis that everybody who reads its documentation knows by their first word. redis-py
#: takes it away where it makes a class of it.
_FIRST_WORDS: Final = {
    "NoPermissionError": "NOPERM",
    "ReadOnlyError": "READONLY",
    "OutOfMemoryError": "OOM",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "MovedError": "MOVED",
}

_TOO_MANY: Final = "max number of clients reached"
_MOVED: Final = "the server is one of a cluster, which kombu does not speak; name a single server"

#: Characters that a sentence may have.
_MAX_CHARACTERS: Final = 300

_MAX_REASONS: Final = 5

_SHORT: Final = 4
"""A secret shorter than this may be a part of any word: a text that holds it is not shown."""


class BrokerBlocked(Exception):
    """The broker is there and takes nothing for now. Keep the connection, and try again on it.

    It reads nothing of a blocked connection, also not its end: each new one stays there beside the
    others until the alarm is over.
    """

    def __init__(self) -> None:
        super().__init__("the broker takes nothing until an alarm of its memory or disk is over")


@contextlib.contextmanager
def error_context(command: str, name: str) -> Iterator[None]:
    """Have an error say which command it answers, and of which key."""
    try:
        yield
    except Exception as exc:
        exc.add_note(f"{command} {name}")
        raise


def is_an_answer(exc: BaseException) -> bool:
    """Say whether the broker is there, and this is what it answered."""
    # Of this answer redis-py makes the same as of a lost connection (8.1, _parsers/base.py).
    return _TOO_MANY in str(exc) or any(
        _ANSWERS.get(cls.__name__) == cls.__module__.partition(".")[0] for cls in type(exc).__mro__
    )


def describe(exc: BaseException, secrets: Iterable[str] = ()) -> str:
    """Say what went wrong, on one line.

    Args:
        exc: Whatever was raised.
        secrets: What must not be shown; see :func:`secrets_of`.
    """
    name = type(exc).__name__
    if isinstance(exc, ConfigurationError):
        return str(exc)
    if not is_an_answer(exc):
        return name
    text = _MOVED if name in {"MovedError", "AskError"} else " ".join(str(exc).split())
    word = _FIRST_WORDS.get(name)
    if word and not text.startswith(word):
        text = f"{word} {text}"
    for secret in secrets:
        if secret in text:
            if len(secret) < _SHORT:
                return name
            text = text.replace(secret, "**")
    text = "".join(one for one in text if one.isprintable())[:_MAX_CHARACTERS]
    command = "; ".join(getattr(exc, "__notes__", ()))
    return f"{name}: {text}" + (f" [{command}]" if command else "")


class OutageLog:
    """What was said of one outage: each answer of the broker is said, anything else only first."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def is_new(self, exc: BaseException, reason: str) -> bool:
        """Say whether this is to be said, and remember it.

        Args:
            exc: What was raised.
            reason: What :func:`describe` makes of it.
        """
        known = reason in self._logged or bool(self._logged and not is_an_answer(exc))
        # It may find new words each time.
        if known or len(self._logged) >= _MAX_REASONS:
            return False
        self._logged.add(reason)
        return True

    def clear(self) -> None:
        """Begin anew: the outage is over."""
        self._logged.clear()


def secrets_of(url: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what must not be shown of an address, the longest first."""
    found: set[str] = set()
    for part in url.split(";"):
        rest = part.rpartition("://")[2]
        password = rest.rpartition("@")[0].partition(":")[2]
        values = [pair.partition("=")[2] for pair in rest.partition("?")[2].split("&")]
        found |= {password, unquote(password), *values, *map(unquote, values)}
    found |= set(_secrets_in(options))
    return tuple(sorted((one for one in found if one), key=len, reverse=True))


def _secrets_in(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _secrets_in(value)
        elif isinstance(value, str) and SECRET_NAMES.search(str(name)):
            yield value


_OF_A_PROGRAM: Final = (
    TypeError,
    AttributeError,
    NameError,
    ImportError,
    SyntaxError,
    NotImplementedError,
    AssertionError,
)


def is_program_error(failure: BaseException) -> bool:
    """Whether no broker, however well it is, would help.

    The text of such an error names what was called and with how many arguments, never a URL, so
    that it may be shown with its traceback.
    """
    return isinstance(failure, _OF_A_PROGRAM)
