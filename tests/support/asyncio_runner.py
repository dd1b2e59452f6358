"""Running coroutines in tests, whatever runs in the thread of the tests."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """As :func:`asyncio.run`, in a thread of its own, and in this one's context.

    Playwright, where a test has used it, leaves its loop running in the thread of the tests.
    """
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(context.run, asyncio.run, work).result()


def run_within(work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
    """The same, for no longer than these seconds."""

    async def with_timeout() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return run(with_timeout())
