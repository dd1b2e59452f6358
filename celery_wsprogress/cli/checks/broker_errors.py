"""What an error of the broker means, in a sentence, and what to do about it. Pure.

Told by the words of the server's own answer: RabbitMQ's begin with the name of a reply code, those
of Redis with one of its error words.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.brokers.failure import causes_of, describe

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Meaning(NamedTuple):
    words: tuple[str, ...]
    """Any of them stands in the description of the error."""
    text: str
    """Follows the URL."""
    advice: str


_RIGHTS: Final = "Give it this right (ACL SETUSER on Redis, rabbitmqctl set_permissions)"

# Of several the first counts: ACCESS_REFUSED is also a missing right.
_ANSWERS: Final = (
    _Meaning(
        ("AuthenticationError", "WRONGPASS", "NOAUTH", "Login was refused"),
        "refuses user or password",
        "Check them in broker_url",
    ),
    _Meaning(
        ("NOT_ALLOWED",),
        "has no such virtual host, or this user may not use it",
        "Check the end of broker_url (rabbitmqctl list_vhosts, list_permissions)",
    ),
    _Meaning(
        ("NOPERM", "ACCESS_REFUSED"), "takes no events of this user: a right is missing", _RIGHTS
    ),
    _Meaning(
        ("DB index is out of range", "invalid DB index"),
        "has no database of this number",
        "Check the number at the end of broker_url",
    ),
    _Meaning(
        ("WRONGTYPE",),
        "holds something else under the name of the log",
        "Delete that key, or set another wsprogress_exchange everywhere",
    ),
    _Meaning(
        ("OOM",),
        "has no memory left, and takes no tasks either",
        "Raise its maxmemory, or free some",
    ),
    _Meaning(
        ("BrokerBlocked",),
        "takes nothing: an alarm of its memory or disk is on",
        "Free some (rabbitmq-diagnostics alarms says which)",
    ),
    _Meaning(
        ("READONLY",),
        "is a replica, which takes no writes",
        "Name the primary server in broker_url, or use sentinel://",
    ),
    _Meaning(
        ("MISCONF",),
        "takes no writes, because it cannot save to its disk",
        "Free some space there; its own log says more",
    ),
    _Meaning(
        ("InvalidResponse",),
        "answers, and is no Redis server",
        "Check scheme and port in broker_url",
    ),
)


def explain(exc: Exception, shown: str, secrets: Sequence[str]) -> tuple[str, str]:
    """Return why the broker cannot be used, and what to do.

    Args:
        exc: What its client library has raised.
        shown: The URL, without a password.
        secrets: Texts that must not be shown.
    """
    described = describe(exc, secrets)
    for answer in _ANSWERS:
        if any(word in described for word in answer.words):
            return f"{shown} {answer.text} ({described})", answer.advice
    causes = list(causes_of(exc))
    if any(isinstance(one, ssl.SSLError) for one in causes):
        advice = "Check the scheme (rediss://, amqps://), the port and broker_use_ssl"
        return f"{shown}: no TLS connection ({_reason_of(causes)})", advice
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return f"nothing listens at {shown}", "Is the broker started? Check host and port"
    if any(isinstance(one, socket.gaierror) for one in causes):
        return f"the host of {shown} is unknown", "Check the host in broker_url"
    if any(isinstance(one, TimeoutError) for one in causes):
        return f"{shown} does not answer", "Check host and port, and what lies between"
    return f"{shown} cannot be used ({described})", "Its own log may say more"


def _reason_of(causes: Sequence[BaseException]) -> str:
    """Return OpenSSL's word, which holds no secret."""
    return next(str(one.reason or "") for one in causes if isinstance(one, ssl.SSLError))
