"""Check that this process can write to the event log on the broker. Blocks for seconds at most."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from celery_wsprogress.brokers import open_writer, prepare
from celery_wsprogress.brokers.failure import describe
from celery_wsprogress.brokers.transports import is_in_one_process
from celery_wsprogress.cli.checks.findings import failed, ok
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.cli.checks.findings import Finding

PART: Final = "broker"


def check_broker(address: BrokerAddress) -> Finding:
    """Connect to the broker, and declare the exchange and the log as a worker does."""
    shown = masked(address.url)
    if is_in_one_process(address.url):
        advice = "Use a broker that other processes can reach, such as redis:// or amqp://"
        return failed(PART, f"{shown} works within one process only", advice)
    try:
        prepare(address)
        open_writer(address).close()
    except ConfigurationError as exc:
        return failed(PART, str(exc), "Correct broker_url, or wsprogress_url")
    except Exception as exc:  # noqa: BLE001 - each client library has its own
        return failed(PART, *_explain(exc, shown, address.secrets))
    return ok(PART, f"{shown} takes events, exchange {address.exchange}")


def _explain(exc: Exception, shown: str, secrets: Sequence[str]) -> tuple[str, str]:
    """Return why it cannot be used, and what to do."""
    described = describe(exc, secrets)
    causes = list(_causes(exc))
    if _is_about_credentials(described):
        return f"{shown} refuses user or password ({described})", "Check them in broker_url"
    if any(isinstance(one, ConnectionRefusedError) for one in causes):
        return f"nothing listens at {shown}", "Is the broker started? Check host and port"
    if any(isinstance(one, socket.gaierror) for one in causes):
        return f"the host of {shown} is unknown", "Check the host in broker_url"
    if any(isinstance(one, TimeoutError) for one in causes):
        return f"{shown} does not answer", "Check host and port, and what lies between"
    return f"{shown} cannot be used ({described})", "Its own log may say more"


def _is_about_credentials(described: str) -> bool:
    words = ("AuthenticationError", "WRONGPASS", "NOAUTH", "ACCESS_REFUSED", "AccessRefused")
    return any(word in described for word in words)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from."""
    seen: set[int] = set()
    one: BaseException | None = exc
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
