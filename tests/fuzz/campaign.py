"""A campaign: rounds of inputs of each kind, and what was found.

Three things are faults: an exception, a hang and growth. A hang is an input that takes far more CPU
time than the others of its kind, by their median, also when its round is repeated. Growth is in the
number of objects that are left when the state of a round is gone, and in the memory of the process.
"""

from __future__ import annotations

import gc
import logging
import signal
import time
import traceback
from array import array
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from celery_wsprogress.sidecar.metrics.process_stats import process_samples
from fuzz.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fuzz.kinds import Kind

ROUND = 500
"""Inputs of one kind that share their state."""

MAX_RATIO = 1_000.0
"""CPU time of an input, in medians of its kind, above which it hangs."""

MIN_HANG = 0.1
"""CPU seconds below which no input hangs."""

CPU_LIMIT = 20.0
"""CPU seconds after which an input is interrupted."""

MAX_FAULTS = 10
"""Faults after which a campaign ends."""

MAX_OBJECTS = 5_000
"""Objects, and
"""
MAX_BYTES = 64_000_000
"""bytes by which the process may grow after each kind has had its first rounds."""

MAX_LINE = 500
"""Characters of a line of the log."""

WARM_UP = 3
"""Rounds of each kind before growth is measured: caches fill, and modules are imported."""


class Interrupted(BaseException):
    """An input has taken :data:`CPU_LIMIT` seconds."""


class Fault(NamedTuple):
    """What was found."""

    kind: str
    round: int
    """Number of the round."""
    index: int
    """Number of the input in the round."""
    what: str
    drawn: str
    """The input, as Python writes it."""


@dataclass
class Costs:
    """CPU seconds of the inputs of one kind."""

    seconds: array[float] = field(default_factory=lambda: array("d"))
    _median: float = 0.0
    _counted: int = 0

    def median(self) -> float:
        """Their median, which is taken anew when there are twice as many."""
        if len(self.seconds) >= 2 * self._counted:
            self._median, self._counted = median(self.seconds), len(self.seconds)
        return self._median

    def is_hang(self, seconds: float) -> bool:
        """Whether an input takes far more than the others."""
        if len(self.seconds) < ROUND:
            return seconds > CPU_LIMIT / 2
        return seconds > max(MIN_HANG, MAX_RATIO * self.median())


class Held(NamedTuple):
    """What the process holds between two rounds."""

    objects: int
    bytes: float


class LogCheck(logging.Handler):
    """Raises for a line of the log that is long, or holds what moves a terminal's cursor."""

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        assert record.levelno < logging.ERROR, line
        assert len(line) < MAX_LINE, "a line of the log is long"
        assert line.isprintable(), "a line of the log is not printable"


class Campaign:
    """Runs inputs.

    Args:
        seed: Decides what the inputs are.
        kinds: The kinds by name.
    """

    def __init__(self, seed: int, kinds: Mapping[str, Callable[[], Kind]] = KINDS) -> None:
        self.seed = seed
        self.faults: list[Fault] = []
        self.costs: dict[str, Costs] = {name: Costs() for name in kinds}
        self.before: Held | None = None
        """When the first rounds were over."""
        self.after: Held | None = None
        self._kinds = kinds
        self._places: set[tuple[str, str, int | None]] = set()
        """Where exceptions were raised: each is shown once."""

    def run(self, inputs: int, first: int = 0) -> None:
        """Run about so many inputs, in rounds from this number on."""
        with checked_log():
            self._run_rounds(inputs, first)

    def _run_rounds(self, inputs: int, first: int) -> None:
        rounds = -(-inputs // (ROUND * len(self._kinds)))
        for number in range(first, first + rounds):
            if number == first + WARM_UP:
                self.before = held()
            for name in self._kinds:
                self._run_round(name, number)
                if len(self.faults) >= MAX_FAULTS:
                    return
        self.after = held()
        self._check_growth()

    def _run_round(self, name: str, number: int) -> None:
        costs = self.costs[name]
        for index, drawn, run in self._inputs(name, number):
            try:
                seconds = cpu_time_of(run, drawn)
            except (Exception, Interrupted) as exc:
                place = traceback.extract_tb(exc.__traceback__)[-1]
                if (name, place.filename, place.lineno) not in self._places:
                    self._places.add((name, place.filename, place.lineno))
                    self._add(name, number, index, drawn, _described(exc))
                if isinstance(exc, Interrupted):
                    return
            else:
                costs.seconds.append(seconds)
                if costs.is_hang(seconds):
                    self._confirm_hang(name, number, index)

    def _inputs(self, name: str, number: int) -> Iterator[tuple[int, Any, Callable[[Any], None]]]:
        kind = self._kinds[name]()
        for index in range(ROUND):
            drawn = kind.draw(Random(f"{self.seed}/{name}/{number}/{index}"))
            yield index, drawn, kind.run

    def _confirm_hang(self, name: str, number: int, wanted: int) -> None:
        """Repeat the round up to an input: another process may have disturbed it."""
        for index, drawn, run in self._inputs(name, number):
            seconds = cpu_time_of(run, drawn)
            if index == wanted:
                typical = self.costs[name].median()
                if self.costs[name].is_hang(seconds):
                    ratio = seconds / typical
                    what = f"takes {seconds:.3f} s of CPU, {ratio:.0f} times the median"
                    self._add(name, number, index, drawn, what)
                return

    def _add(self, name: str, number: int, index: int, drawn: Any, what: str) -> None:
        self.faults.append(Fault(name, number, index, what, repr(drawn)))

    def _check_growth(self) -> None:
        if self.before is None or self.after is None:
            return
        objects = self.after.objects - self.before.objects
        size = self.after.bytes - self.before.bytes
        if objects > MAX_OBJECTS or size > MAX_BYTES:
            what = f"{objects:,} objects and {size / 1e6:.1f} MB more than after the first rounds"
            self.faults.append(Fault("all", 0, 0, what, ""))


@contextmanager
def checked_log() -> Iterator[None]:
    """Check the log of the package, and show nothing of it."""
    logger, handler = logging.getLogger("celery_wsprogress"), LogCheck()
    logger.addHandler(handler)
    before, logger.propagate = logger.propagate, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def held() -> Held:
    """What the process holds now."""
    gc.collect()
    return Held(len(gc.get_objects()), process_samples().get("process_resident_memory_bytes", 0.0))


def cpu_time_of(run: Callable[[Any], None], drawn: Any) -> float:
    """Run an input; the seconds of CPU time that it took."""
    with cpu_limit():
        began = time.thread_time()
        run(drawn)
        return time.thread_time() - began


@contextmanager
def cpu_limit() -> Iterator[None]:
    """Interrupt what takes too long."""

    def interrupt(*_: object) -> None:
        raise Interrupted(f"interrupted after {CPU_LIMIT} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _described(exc: BaseException) -> str:
    return "".join(traceback.format_exception(exc)[-6:]).strip()
