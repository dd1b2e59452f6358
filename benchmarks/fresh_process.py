"""One benchmark, in a process of its own: none finds connections or memory of another."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from typing import TYPE_CHECKING

from benchmarks import machine

if TYPE_CHECKING:
    from benchmarks.figures import Table


def measured(name: str, *, quick: bool) -> Table:
    """The result of a benchmark.

    Args:
        name: One of :data:`benchmarks.NAMES`.
        quick: Whether it is to take fewer and shorter rounds.
    """
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh) as process:
        return process.submit(_measure, name, quick).result()


def _measure(name: str, quick: bool) -> Table:
    machine.allow_many_files()
    machine.pin(os.getpid(), machine.LOAD)
    table: Table = import_module(f"benchmarks.{name}").measure(quick=quick)
    return table
