"""The limit of what reads the log: a process that reads it, decodes it, and does nothing else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks.machine import MEASURED, processor_time, started
from celery_wsprogress.brokers import BrokerAddress, open_reader
from celery_wsprogress.protocol.batches import decode_batch

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator


class Reading:
    """A process that reads the log; made by :func:`reading`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.wait()

    def wait(self) -> None:
        """Wait until it has read its number of events once more."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the reader is gone; it said why"

    @property
    def processor_time(self) -> float:
        """Seconds of the processor it has used."""
        return processor_time(self._process.pid)


@contextmanager
def reading(broker: str, events: int) -> Iterator[Reading]:
    """Start one that reads what is written from now on.

    Args:
        broker: The URL of the log.
        events: It can be waited for each time when it has read so many more.
    """
    command = [sys.executable, "-m", "benchmarks.log_reader", broker, str(events)]
    with started(command, MEASURED) as process:
        yield Reading(process)


def _read(broker: str, events: int) -> None:
    reader = open_reader(BrokerAddress(broker))
    position, read = reader.end, 0
    print("reading", flush=True)
    while True:
        for entry in reader.read(position, wait=1.0):
            position = entry.position
            before, read = read, read + len(decode_batch(entry.batch).events)
            if read // events > before // events:
                print(read, flush=True)


if __name__ == "__main__":
    _read(sys.argv[1], int(sys.argv[2]))
