"""Send what clients ask to be cancelled to Celery's workers.

The event loop collects the requests; a thread sends all that wait, over one connection to Celery's
broker, and closes it. So a burst costs one connection, and a broker that is down fails all of them
after one time-out.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.brokers.control_address import revoke_arguments
from celery_wsprogress.hub.cancel_request import CancelOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from celery_wsprogress.brokers.control_address import ControlAddress
    from celery_wsprogress.hub.cancel_request import CancelRequest, CancelSending

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 1_000
"""Requests of all clients that may wait. More are refused."""

MAX_IDS: Final = 1_000
"""Tasks that one message names."""

SEND_TIMEOUT: Final = 15.0
"""Seconds after which a thread that sends is given up, with the requests that it has."""

REQUEST_COST: Final = 0.05
"""Seconds of processor time that a request is charged as, to its connection: it makes work for
every worker."""


def send_to_workers(address: ControlAddress, requests: Sequence[CancelRequest]) -> bool:
    """Send requests; see :func:`celery_wsprogress.brokers.control.broadcast`."""
    # Here: the event loop needs no kombu.
    from celery_wsprogress.brokers.control import broadcast  # noqa: PLC0415

    return broadcast(address, "revoke", [one for request in requests for one in _parts_of(request)])


def _parts_of(request: CancelRequest) -> Iterator[dict[str, Any]]:
    """Yield the arguments of the commands that send a request."""
    for first in range(0, len(request.task_ids), MAX_IDS):
        some = request.task_ids[first : first + MAX_IDS]
        yield revoke_arguments(some, terminate=request.terminate, reason=request.reason)


class _Waiting(NamedTuple):
    request: CancelRequest
    sending: CancelSending
    done: asyncio.Event


class CancelSender:
    """Sends requests, those that wait together.

    Args:
        send_all: Sends requests; called in a thread. It returns whether the broker can reach the
            workers, and raises an exception if it cannot be reached itself.
        timeout: Seconds that it may take.
    """

    def __init__(
        self, send_all: Callable[[Sequence[CancelRequest]], bool], timeout: float = SEND_TIMEOUT
    ) -> None:
        self._send_all = send_all
        self._timeout = timeout
        self._waiting: list[_Waiting] = []
        self._sender: asyncio.Task[None] | None = None
        self._stuck: asyncio.Future[bool] | None = None

    async def send(self, request: CancelRequest, sending: CancelSending) -> None:
        """Send a request, and set the outcome."""
        if len(self._waiting) >= MAX_WAITING or (self._stuck and not self._stuck.done()):
            sending.outcome = CancelOutcome.UNAVAILABLE
            return
        done = asyncio.Event()
        self._waiting.append(_Waiting(request, sending, done))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_waiting())
        await done.wait()

    async def _send_waiting(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting, []
            outcome = await self._send_some([one.request for one in some])
            for one in some:
                one.sending.outcome = outcome
                one.done.set()

    async def _send_some(self, requests: Sequence[CancelRequest]) -> CancelOutcome:
        sent = asyncio.get_running_loop().run_in_executor(None, self._send_all, requests)
        try:
            # Not cancelled by the time-out: the thread goes on, and nobody else may begin.
            reached = await asyncio.wait_for(asyncio.shield(sent), self._timeout)
        except TimeoutError:
            self._stuck = sent
            logger.warning("Celery's broker takes no control message in time")
            return CancelOutcome.UNAVAILABLE
        except Exception as exc:  # noqa: BLE001 - whatever the client library raises
            # Its text may quote the URL.
            logger.warning("Celery's broker takes no control message: %s", type(exc).__name__)
            return CancelOutcome.UNAVAILABLE
        return CancelOutcome.SENT if reached else CancelOutcome.NOT_SUPPORTED
