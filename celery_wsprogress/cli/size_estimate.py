"""How many sidecar processes, how much memory and how much traffic a load needs. Pure.

The costs were measured with ``python -m benchmarks.size`` on the machine that the page *From one
machine to many* names. Another processor takes more or less time for the same:
:func:`decode_time` compares it with that one.
"""

from __future__ import annotations

import math
import time
from typing import Final, NamedTuple

from celery_wsprogress.protocol.batches import decode_batch, encode_event, join_batch
from celery_wsprogress.protocol.events import Progress, ProgressData

DECODE: Final = 0.53e-6
"""What :func:`decode_time` returned where the costs were measured."""

PROCESS_BYTES: Final = 48_600_000
"""Bytes of a sidecar process without clients and operations."""

CONNECTION_BYTES: Final = 19_200
"""Bytes of a connection with one subscription."""

RUNNING_BYTES: Final = 2_960
"""Bytes of an operation that runs."""

FINISHED_BYTES: Final = 3_000
"""Bytes of an operation that is over, with few events."""

EVENT_BYTES: Final = 245
"""Bytes of a progress event in the log and on a socket."""

LIFE_EVENTS: Final = 4
"""Events of a task besides its progress: received, started, its result and its end."""

MAX_LOAD: Final = 0.7
"""The part of a processor that is planned for: the rest is for peaks."""


class Costs(NamedTuple):
    """Seconds of the processor. The defaults are those of the slowest of three runs."""

    read: float = 17.8e-6
    """For an event of the log, as each sidecar process reads all of them."""
    delivery: float = 19.2e-6
    """For a frame to one client, most of it in the kernel."""

    def times(self, factor: float) -> Costs:
        """Return the costs on a processor that takes so much longer."""
        return Costs(factor * self.read, factor * self.delivery)


COSTS: Final = Costs()


class Load(NamedTuple):
    """What is to be served."""

    tasks: int
    """Tasks that run at a time."""
    updates: float
    """Progress events of each, per second. Workers send at most one in ``progress_interval``."""
    watchers: int
    """Clients that are connected, each of which watches one task."""
    share: float
    """The part of the clients whose task runs; the others wait or have seen its end."""
    duration: float
    """Seconds that a task takes."""
    held: int
    """Operations that are held after their end."""


class Estimate(NamedTuple):
    """What that needs."""

    events: float
    """Events of the log per second."""
    deliveries: float
    """Frames to clients per second."""
    processes: int | None
    """Sidecar processes, each on a core; None if one core cannot read the log."""
    busy: float
    """The part of its processor that each process needs."""
    memory: int
    """Bytes of each process."""
    log_in: float
    """Bytes per second that workers write to the broker."""
    log_out: float
    """Bytes per second that all processes read from the broker."""
    to_clients: float
    """Bytes per second that go to clients."""


def estimate(load: Load, costs: Costs = COSTS) -> Estimate:
    """Estimate what a load needs.

    Args:
        load: The load.
        costs: What the processor takes.
    """
    ends = load.tasks / load.duration
    events = load.tasks * load.updates + LIFE_EVENTS * ends
    deliveries = 0.0
    if load.tasks:
        deliveries = load.watchers * load.share * (load.updates + LIFE_EVENTS / load.duration)
    reading, delivering = costs.read * events, costs.delivery * deliveries
    # Each process reads the whole log, and serves its part of the clients.
    processes = max(1, math.ceil(delivering / (MAX_LOAD - reading))) if reading < MAX_LOAD else None
    parts = processes or 1
    memory = PROCESS_BYTES + RUNNING_BYTES * load.tasks + FINISHED_BYTES * load.held
    return Estimate(
        events=events,
        deliveries=deliveries,
        processes=processes,
        busy=reading + delivering / parts,
        memory=memory + CONNECTION_BYTES * math.ceil(load.watchers / parts),
        log_in=EVENT_BYTES * events,
        log_out=EVENT_BYTES * events * parts,
        to_clients=EVENT_BYTES * deliveries,
    )


def decode_time() -> float:
    """Return the seconds of the processor that this machine takes to decode an event of the log."""
    data = ProgressData(
        progress=0.5, message="Row 500 of 1000", details={}, current=500, total=1_000, eta=5.0
    )
    event = Progress(operation_id="550e8400-e29b-41d4-a716-1", timestamp=1.5, run="r", data=data)
    batch = join_batch("w", 1, 20 * [encode_event(event)])
    taken = []
    for _ in range(20):
        before = time.process_time()
        for _ in range(100):
            decode_batch(batch)
        taken.append(time.process_time() - before)
    # The fastest: what is slower was disturbed.
    return min(taken) / 2_000
