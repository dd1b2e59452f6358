"""The machine: who runs where, what that costs, and what it is.

What is measured has one processor, :data:`MEASURED`; brokers, writers and clients share another,
:data:`LOAD`. Where there is only one, all of them share it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import subprocess
import time
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MEASURED: Final = 0
LOAD: Final = 1

PACKAGES: Final = ("celery-wsprogress", "celery", "kombu", "redis", "websockets", "uvloop")

_USABLE: Final = sorted(os.sched_getaffinity(0))
"""The processors that the benchmarks may use, before they pin anything."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


def pin(pid: int, processor: int) -> None:
    """Keep a process, and what it starts from now on, to one of the processors of this machine."""
    os.sched_setaffinity(pid, {_USABLE[processor % len(_USABLE)]})


@contextmanager
def started(command: Sequence[str], processor: int) -> Iterator[subprocess.Popen[str]]:
    """Run a program with pipes on a processor of its own, and kill it in the end."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            pin(process.pid, processor)
            yield process
        finally:
            process.kill()


def processor_time(pid: int) -> float:
    """Return the processor seconds of a process and its children.

    Of its own code and of the kernel's on its behalf, as the kernel's scheduler counts it.
    """
    family = (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    return sum(time.clock_gettime(_clock_of(one.pid)) for one in family)


def _clock_of(pid: int) -> int:
    """The clock of a process's processor time (POSIX); it has nanoseconds, `ps` has hundredths."""
    clock = ctypes.c_int()
    error = _libc.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise ProcessLookupError(error, f"no processor time of process {pid}")
    return clock.value


def memory(pid: int) -> int:
    """The bytes that a process has in memory and shares with no other."""
    return int(psutil.Process(pid).memory_full_info().uss)


def allow_many_files() -> None:
    """Raise the limit of open files to what may be: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def description() -> dict[str, str]:
    """Describe the machine and the versions."""
    return {
        "processor": f"{os.cpu_count()} processors, {_processor()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
