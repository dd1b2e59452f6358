"""An event loop in a thread, for code without ``async``."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from celery_wsprogress.client.loop_thread import LoopThread

LEFT_TO_THE_END = """
from celery_wsprogress.client.loop_thread import LoopThread

def numbers():
    with LoopThread():
        yield 1

left = numbers()
print(next(left))
"""


def test_what_is_run_returns_and_raises_in_the_caller():
    async def half(number):
        await asyncio.sleep(0)
        return 1 / number

    with LoopThread() as thread:
        assert thread.run(half(2)) == 0.5
        with pytest.raises(ZeroDivisionError):
            thread.run(half(0))


def test_leaving_cancels_what_runs_closes_generators_and_ends_the_thread():
    said = []

    async def numbers():
        try:
            yield 1
        finally:
            said.append("closed")

    async def never():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            said.append("cancelled")
            raise

    async def begin():
        tasks.append(asyncio.create_task(never()))
        await asyncio.sleep(0)
        return await anext(generator)

    tasks, generator = [], numbers()
    with LoopThread() as thread:
        assert thread.run(begin()) == 1
    assert said == ["cancelled", "closed"]
    assert "wsprogress-client" not in {one.name for one in threading.enumerate()}


def test_a_program_ends_though_a_generator_is_left_open():
    """Threads do not run any more when it is closed then (they hang from CPython 3.13 on)."""
    command = [sys.executable, "-c", LEFT_TO_THE_END]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert (ran.stdout, ran.stderr) == ("1\n", "")
