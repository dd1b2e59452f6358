"""Errors of a broker: described without secrets, and told apart by what they mean.

A client library may quote the URL, and so a password. So only the class of most errors is shown.
The server's own answer is shown without the secrets of the address, because it names the missing
right, memory or queue. So is what TLS says of a server's certificate.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.option_values import SECRET_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Classes whose text is the server's own answer, and their library; by name, to load no library.
_ANSWERS: Final = {
    "ResponseError": "redis",
    "AuthenticationError": "redis",
    "BusyLoadingError": "redis",
    "AMQPError": "amqp",
    "ClientError": "botocore",
    "BrokerBlocked": "celery_wsprogress",
    "ImportError": "builtins",
}

#: The first words of Redis's error replies, which redis-py removes (8.1, _parsers/base.py,
#: ``EXCEPTION_CLASSES``).
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
_MOVED: Final = "the server is part of a cluster, which kombu does not support; use a single server"

#: Characters of a description.
_MAX_CHARACTERS: Final = 300

_MAX_REASONS: Final = 5

_SHORT: Final = 4
"""Characters. A text with a shorter secret is not shown: it may be a part of any word."""


class BrokerBlocked(Exception):
    """The broker is up and accepts nothing for now. Keep the connection, and try again on it.

    The broker does not read the end of a blocked connection either: each new one would stay open
    beside the others until the alarm is over.
    """

    def __init__(self) -> None:
        super().__init__("the broker takes nothing until an alarm of its memory or disk is over")


@contextlib.contextmanager
def error_context(command: str, name: str) -> Iterator[None]:
    """Add the command and the key that an error answers to its notes."""
    try:
        yield
    except Exception as exc:
        exc.add_note(f"{command} {name}")
        raise


def is_an_answer(exc: BaseException) -> bool:
    """Return whether an error is an answer of the broker, which is up."""
    # redis-py raises this answer as a ConnectionError (8.1, _parsers/base.py).
    return _TOO_MANY in str(exc) or any(
        _ANSWERS.get(cls.__name__) == cls.__module__.partition(".")[0] for cls in type(exc).__mro__
    )


def describe(exc: BaseException, secrets: Iterable[str] = ()) -> str:
    """Describe an error on one line.

    Args:
        exc: The error.
        secrets: Texts that must not be shown; see :func:`secrets_of`.
    """
    name = type(exc).__name__
    if isinstance(exc, ConfigurationError):
        return str(exc)
    if not is_an_answer(exc):
        reason = _connection_reason(exc)
        return f"{name}: {reason}" if reason else name
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


def _connection_reason(exc: BaseException) -> str:
    """Return why a connection failed whose options are to blame; ``""`` for other errors."""
    for cause in causes_of(exc):
        # By its module's name: a process without TLS need not load it.
        if type(cause).__module__ == "ssl":
            refused = getattr(cause, "verify_message", "").rstrip(".")
            if refused:
                return f"the server's certificate is not accepted ({refused})"
            reason = str(getattr(cause, "reason", None) or "unknown").replace("_", " ").lower()
            return f"the server does not speak TLS as it should ({reason})"
        if isinstance(cause, FileNotFoundError):
            return "a file among the options of TLS, or the unix socket, does not exist"
    return ""


def causes_of(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from, each once: they may form a circle."""
    seen: set[int] = set()
    one: BaseException | None = exc
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__


class OutageLog:
    """Decides what is logged of one outage: each new answer of the broker, else the first error."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def is_new(self, exc: BaseException, reason: str) -> bool:
        """Return whether to log an error, and remember it.

        Args:
            exc: The error.
            reason: Its text, by :func:`describe`.
        """
        known = reason in self._logged or bool(self._logged and not is_an_answer(exc))
        # The broker may answer in new words each time.
        if known or len(self._logged) >= _MAX_REASONS:
            return False
        self._logged.add(reason)
        return True

    def clear(self) -> None:
        """Begin anew: the outage is over."""
        self._logged.clear()


def secrets_of(url: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts of an address that must not be shown, the longest first."""
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


_PROGRAM_ERRORS: Final = (
    TypeError,
    AttributeError,
    NameError,
    ImportError,
    SyntaxError,
    NotImplementedError,
    AssertionError,
)


def is_program_error(failure: BaseException) -> bool:
    """Return whether an error is one of the program, which another attempt would repeat.

    Its text never holds a URL, so it may be logged with its traceback.
    """
    return isinstance(failure, _PROGRAM_ERRORS)
