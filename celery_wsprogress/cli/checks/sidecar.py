"""Connect to the sidecar, and send an operation all the way through the broker to it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import open_writer
from celery_wsprogress.brokers.failure import describe
from celery_wsprogress.cli.checks.findings import failed, ok, skipped, warning
from celery_wsprogress.client import Client
from celery_wsprogress.errors import CommandError, NoConnection
from celery_wsprogress.protocol.batches import encode_event, join_batch
from celery_wsprogress.protocol.events import Completed, CompletedData, Status, StatusData
from celery_wsprogress.urls import masked
from celery_wsprogress.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.cli.checks.findings import Finding
    from celery_wsprogress.client.reconnecting_client import Token

PART: Final = "sidecar"
ACCESS: Final = "access"
WAY: Final = "way of an event"

OPERATION_TYPE: Final = "wsprogress.check"

MAX_CLOCK_DIFFERENCE: Final = 5.0
"""Seconds. The clocks of callers and workers that differ more are corrected, where that can be."""


async def check_sidecar(
    url: str,
    token: Token,
    address: BrokerAddress | None,
    operation_id: str,
    timeout: float,  # noqa: ASYNC109 - each part has its own
) -> AsyncIterator[Finding]:
    """Connect, and watch a synthetic operation that is written to the broker.

    Args:
        url: The URL of the sidecar.
        token: A token for it, if there is one.
        address: The broker to write to; None where it cannot be written to.
        operation_id: The id of that operation.
        timeout: Seconds that connecting, and the way of the events, may take.
    """
    client = Client(url, token=token)
    try:
        async with asyncio.timeout(timeout):
            await client.__aenter__()
    except NoConnection as exc:
        yield failed(PART, f"{masked(url)}: {exc.reason}", _ADVICE)
        yield skipped(WAY, "there is no sidecar to watch it")
        return
    except TimeoutError:
        yield failed(PART, f"{masked(url)} does not answer within {timeout:g} s", _ADVICE)
        yield skipped(WAY, "there is no sidecar to watch it")
        return
    except CommandError as exc:
        yield ok(PART, f"{masked(url)} answers")
        yield failed(ACCESS, f"it refuses the token: {exc}", _KEY_ADVICE)
        yield skipped(WAY, "nothing may be watched")
        return
    try:
        for finding in _check_welcome(client.welcome, url, token):
            yield finding
        yield await _check_way(client, address, operation_id, timeout)
    finally:
        await client.close()


_ADVICE: Final = "Start it there (celery -A … wsprogress serve), or name another one with --url"
_KEY_ADVICE: Final = "wsprogress_key (WSPROGRESS_KEY) must be the same here and at the sidecar"


def _check_welcome(welcome: dict[str, Any], url: str, token: Token) -> list[Finding]:
    data = welcome["data"]
    found = []
    server = str(data.get("server", ""))
    if server != f"celery-wsprogress/{__version__}":
        found.append(warning(PART, f"{masked(url)} is {server}, and here is {__version__}"))
    ahead = float(welcome.get("timestamp", 0.0)) - time.time()
    if abs(ahead) > MAX_CLOCK_DIFFERENCE:
        how = "ahead of" if ahead > 0 else "behind"
        text = f"its clock is {abs(ahead):,.0f} s {how} the one of this machine"
        found.append(warning(PART, text, "Let NTP set both"))
    if error := data.get("broker_error"):
        text = f"{masked(url)} runs, and cannot read its broker: {error}"
        found.append(failed(PART, text, "Check the broker that `serve` was started with"))
    found = found or [ok(PART, f"{masked(url)} answers, version {__version__}")]
    return [*found, _check_access(data, token)]


def _check_access(data: dict[str, Any], token: Token) -> Finding:
    if not data.get("auth_required"):
        if token is None:
            return ok(ACCESS, "it needs no token")
        text = "it takes everyone, though there is a key or a token here"
        return warning(ACCESS, text, "Start `serve` with WSPROGRESS_KEY")
    if token is None:
        text = "it wants a token, and there is no key and no token here"
        return failed(ACCESS, text, "Set WSPROGRESS_KEY or wsprogress_key, or give --token-file")
    return ok(ACCESS, "it takes the token")


async def _check_way(
    client: Client,
    address: BrokerAddress | None,
    operation_id: str,
    timeout: float,  # noqa: ASYNC109 - as above
) -> Finding:
    if address is None:
        return skipped(WAY, "no event can be written to the broker")
    try:
        await client.subscribe(operation_id)
    except CommandError as exc:
        return skipped(WAY, f"it may not be watched: {exc}")
    began = time.monotonic()
    try:
        await asyncio.to_thread(_write, address, operation_id)
    except Exception as exc:  # noqa: BLE001 - each client library has its own
        text = f"the broker does not take it: {describe(exc, address.secrets)}"
        return failed(WAY, text, "Its own log may say more")
    try:
        async with asyncio.timeout(timeout):
            async for event in client:
                if event["event_type"] == "completed":
                    break
    except TimeoutError:
        text = (
            f"what was written to {masked(address.url)}, exchange {address.exchange}, did not "
            f"reach the sidecar within {timeout:g} s"
        )
        advice = "Start `serve` with the same broker (and virtual host) and wsprogress_exchange"
        return failed(WAY, text, advice)
    took = (time.monotonic() - began) * 1_000
    return ok(WAY, f"broker and sidecar passed an operation on within {took:,.0f} ms")


def _write(address: BrokerAddress, operation_id: str) -> None:
    """Write an operation that has completed, as a process does that runs one."""
    timestamp, run = time.time(), operation_id[-8:]
    started = StatusData(
        status="started", message="", details={}, operation_type=OPERATION_TYPE, metadata={}
    )
    events = (
        Status(operation_id=operation_id, timestamp=timestamp, run=run, data=started),
        Completed(
            operation_id=operation_id,
            timestamp=timestamp,
            run=run,
            data=CompletedData(status="completed", duration=0.0),
        ),
    )
    writer = open_writer(address)
    try:
        writer.publish(join_batch(run, 1, [encode_event(one) for one in events]), confirm=True)
    finally:
        writer.close()
