"""Work in steps for a request over HTTP: each step is one turn.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.sidecar.limits.budget import Budget
    from celery_wsprogress.sidecar.limits.turn_queue import TurnQueue

T = TypeVar("T")


class SteppedWork(Generic[T]):
    """The steps that are left.

    Args:
        steps: The steps.
        address: The key of the client's address.
        budget: The budget of the client's connection.
    """

    def __init__(self, steps: Steps[T], address: str, budget: Budget) -> None:
        self.address = address
        self.budget = budget
        self._steps = steps
        self._result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def run(self, turns: TurnQueue) -> T:
        """Take all steps in turns and return the result, or raise what a step raised."""
        turns.add(self)
        try:
            return await self._result
        finally:
            self._steps.close()

    def take_turn(self) -> bool:
        """Take one step."""
        if self._result.done():
            return False
        try:
            next(self._steps)
        except StopIteration as end:
            self._result.set_result(end.value)
            return False
        except Exception as exc:  # noqa: BLE001 - it is raised again, by `run`
            self._result.set_exception(exc)
            return False
        return True

    def fail(self) -> None:
        """Never called: what a step raises is raised by :meth:`run`."""
