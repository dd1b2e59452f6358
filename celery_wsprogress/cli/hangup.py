"""SIGHUP: read files again, or stop, where it says that the terminal was closed.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from celery_wsprogress.sidecar.systemd import notify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping


def reload_on_hangup(
    reload: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    environ: MutableMapping[str, str],
    ready: asyncio.Event,
) -> None:
    """From now on, call a function at each SIGHUP, one call after the other.

    A process that was started in a terminal stops when that is closed.

    Args:
        reload: The function.
        stop: Is set when the terminal was closed.
        environ: Names the socket of systemd; empty where that is told by another process.
        ready: Is set when it serves. A signal that comes before that waits: systemd must not be
            told that it is ready.
    """
    loop, lock, tasks = asyncio.get_running_loop(), asyncio.Lock(), set[asyncio.Task[None]]()
    # `nohup` lets a program ignore the signal of a terminal that is closed.
    had_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    async def work() -> None:
        await ready.wait()
        async with lock:
            if stop.is_set():
                return
            # systemd 253 wants the time with it (sd_notify(3), RELOADING=1).
            notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1_000}", environ)
            try:
                await reload()
            finally:
                notify("READY=1", environ)

    def on_signal() -> None:
        if had_terminal and not _has_terminal():
            stop.set()
            return
        task = loop.create_task(work())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGHUP, on_signal)


def _has_terminal() -> bool:
    """Return whether the process has a terminal that is still there."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False
