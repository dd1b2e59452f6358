"""The queue of turns: clients cost the event loop little at a time, and in fair turns.

Whatever a client sends is processed in turns of at most a few milliseconds: a slice of bytes, a
step of a command, a part of a long replay. Addresses take turns, and the connections of an address
among themselves. In one iteration of the event loop all turns together take :data:`TICK`; then
deliveries have theirs. Each turn is charged to the budgets of its connection and its address, and
who has used up a budget waits.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.sidecar.limits.budget import Budget

logger = logging.getLogger(__name__)

TICK: Final = 0.002
"""Seconds of processor time for turns in one iteration of the event loop."""


class TurnTaker(Protocol):
    """What takes turns."""

    address: str
    """The key of the client's address."""
    budget: Budget

    def take_turn(self) -> bool:
        """Do a little work. Return whether there is more to do now."""

    def fail(self) -> None:
        """End, since a turn has raised an exception, which was logged."""


class _Address:
    """The turns of one address."""

    __slots__ = ("budget", "is_waiting", "turns")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.turns: deque[TurnTaker] = deque()
        self.is_waiting = False
        """Whether it waits for its turn, or for its budget."""


class TurnQueue:
    """The turns of all clients.

    Args:
        address_budget: Makes the budget of an address.
        clock: Gives seconds of processor time.
    """

    def __init__(
        self,
        address_budget: Callable[[], Budget],
        clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._address_budget = address_budget
        self._clock = clock
        self._addresses: dict[str, _Address] = {}
        self._ready: deque[_Address] = deque()
        self._added: set[TurnTaker] = set()
        self._is_scheduled = False
        self.delayed = 0
        """Number of times that a budget was used up."""

    def add(self, one: TurnTaker) -> None:
        """Give it a turn, unless it waits for one already."""
        if one not in self._added:
            self._added.add(one)
            self._append(one)

    def forget(self, now: float) -> None:
        """Forget the addresses that have nothing to do, and have their whole budget."""
        self._addresses = {
            key: one
            for key, one in self._addresses.items()
            if one.is_waiting or one.budget.used(now) > 0.0
        }

    def _address(self, key: str) -> _Address:
        found = self._addresses.get(key)
        if found is None:
            found = self._addresses[key] = _Address(self._address_budget())
        return found

    def _append(self, one: TurnTaker) -> None:
        address = self._address(one.address)
        address.turns.append(one)
        if not address.is_waiting:
            address.is_waiting = True
            self._resume(address)

    def _resume(self, address: _Address) -> None:
        self._ready.append(address)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        self._is_scheduled = False
        start = before = self._clock()
        while self._ready and before - start < TICK:
            address = self._ready.popleft()
            one = address.turns.popleft()
            has_more = _take_turn(one)
            after = self._clock()
            self._put_back(address, one, after - before, has_more=has_more)
            before = after
        if self._ready and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)

    def _put_back(self, address: _Address, one: TurnTaker, spent: float, *, has_more: bool) -> None:
        now, loop = time.monotonic(), asyncio.get_running_loop()
        one.budget.charge(spent, now)
        address.budget.charge(spent, now)
        if not has_more:
            self._added.discard(one)
        elif delay := one.budget.delay(now):
            self.delayed += 1
            loop.call_later(delay, self._append, one)
        else:
            address.turns.append(one)
        if not address.turns:
            address.is_waiting = False
        elif delay := address.budget.delay(now):
            self.delayed += 1
            loop.call_later(delay, self._resume, address)
        else:
            self._ready.append(address)


def _take_turn(one: TurnTaker) -> bool:
    try:
        return one.take_turn()
    except Exception:
        # A fault with one client must not stop the others.
        logger.exception("The input of a client (%s) could not be processed", one.address)
        one.fail()
        return False
