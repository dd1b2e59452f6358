"""The event log of a test's broker: as bytes, as batches, and as the events of one operation.

``publish`` and ``read_until`` handle batches of any bytes on any broker. ``log_writer`` writes
events as a worker does. :class:`LogReader` reads everything that stands in the log of a Redis
server.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import redis

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.brokers import EXCHANGE, BrokerAddress, open_writer
from celery_wsprogress.brokers.redis.exchange import FIELD
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.protocol.batches import decode_batch, encode_event, join_batch
from celery_wsprogress.protocol.events import Completed, Error, Result, Status
from support.conditions import eventually
from support.deliveries import process
from support.frames import decoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery_wsprogress.brokers import LogEntry, Reader
    from celery_wsprogress.protocol.events import Event

T = TypeVar("T")

ENDS = ("completed", "error")


def publish(address: BrokerAddress, *batches: bytes) -> None:
    """Write these, each confirmed, with a writer of their own."""
    writer = open_writer(address)
    for batch in batches:
        writer.publish(batch, confirm=True)
    writer.close()


def read_until(reader: Reader, number: int, position: str = "") -> list[LogEntry]:
    """Read on from a position until so many entries have come."""
    entries: list[LogEntry] = []

    def enough() -> bool:
        entries.extend(reader.read(entries[-1].position if entries else position, wait=0.5))
        return len(entries) >= number

    eventually(enough, what=f"{number} entries")
    return entries


def batches(entries: list[LogEntry]) -> list[bytes]:
    """What the entries hold."""
    return [entry.batch for entry in entries]


def opened(opener: Callable[..., T], *arguments: object) -> T:
    """What the opener returns, once the broker that has just started has its queues again."""

    def once_it_can() -> T | None:
        with contextlib.suppress(Exception):
            return opener(*arguments)
        return None

    return eventually(once_it_can, 60, interval=0.2)


@contextlib.contextmanager
def log_writer(url: str) -> Iterator[Callable[..., None]]:
    """Gives a function that writes its arguments to the log, as one confirmed batch."""
    writer, numbers = open_writer(BrokerAddress(url)), count(1)

    def write(*events: Event) -> None:
        encoded = [encode_event(event) for event in events]
        writer.publish(join_batch("test", next(numbers), encoded), confirm=True)

    try:
        yield write
    finally:
        writer.close()


class LogReader:
    """Reads the stream of events of a Redis server."""

    def __init__(self, url):
        self._client = redis.Redis.from_url(url)

    def batches(self):
        """Every batch in the log."""
        return [decode_batch(fields[FIELD]) for _, fields in self._client.xrange(EXCHANGE)]

    def events(self, operation_id):
        """The operation's events, in log order, each batch once."""
        seen, found = set(), []
        for batch in self.batches():
            assert batch.malformed == 0
            if (batch.writer, batch.counter) not in seen:
                seen.add((batch.writer, batch.counter))
                found += [e for e in batch.events if e.operation_id == operation_id]
        return found

    def frames(self, operation_id):
        """What someone who watched from the beginning was shown, in its order."""
        hub, watcher = Hub(), Session(1, Permit(None))
        hub.subscriptions.subscribe(watcher, operation_id, replay=None, since=None)
        shown = []
        for number, batch in enumerate(self.batches()):
            process(hub, batch, epoch="e", position=str(number), now=0.0)
            shown += decoded(watcher.take(10_000_000, 200.0, 0.0))
        return shown

    def snapshot(self, operation_id):
        """How the operation stands."""
        hub = Hub()
        for number, batch in enumerate(self.batches()):
            process(hub, batch, epoch="e", position=str(number), now=0.0)
        return hub.get(operation_id)

    def watched(self, operation_id):
        """The words of these frames, without progress: how much of that is shown is chance."""
        return [
            frame["data"]["status"] if frame["event_type"] == "status" else frame["event_type"]
            for frame in self.frames(operation_id)
            if frame["event_type"] != "progress"
        ]

    def ends_watched(self, operation_id):
        """The ends among those words."""
        return [said for said in self.watched(operation_id) if said in ENDS]

    def runs(self, operation_id):
        """What each run said, in the order of their first words; ``queued`` is in none."""
        runs = defaultdict(list)
        for event in self.events(operation_id):
            if event.run:
                runs[event.run].append(event)
        return list(runs.values())

    def signs(self):
        """What each sign of life named: ids of operations to runs of them, oldest sign first."""
        return [dict(batch.alive) for batch in self.batches() if batch.alive]

    def wait_for_sign(self, operation_id):
        """The run that a sign of life names for this operation; the newest of them."""
        return eventually(
            lambda: next(
                (sign[operation_id] for sign in self.signs()[::-1] if operation_id in sign), None
            ),
            what=f"a sign of {operation_id}",
        )

    def wait_for_end(self, operation_id, ends=1):
        """The operation's events, once it ended so often."""
        eventually(
            lambda: len(self.ends(operation_id)) >= ends,
            what=f"end {ends} of {operation_id}",
        )
        return self.events(operation_id)

    def ends(self, operation_id):
        """Its terminal events."""
        return [e for e in self.events(operation_id) if isinstance(e, (Completed, Error))]

    def wait_for_words(self, operation_id, *words):
        """Wait until all of these words were said (see :func:`word`)."""
        eventually(
            lambda: set(words) <= set(spoken(self.events(operation_id))),
            what=f"{words} of {operation_id}",
        )


def word(event):
    """The status, or the type of another event."""
    return event.data.status if isinstance(event, Status) else type(event).__name__.lower()


def spoken(events):
    """The words of some events, without progress: how much of that leaves is a matter of time."""
    return [word(event) for event in events if word(event) != "progress"]


def in_task(events):
    """The words of the task's own process: ``received`` comes from another one, at any time."""
    return [said for said in spoken(events) if said not in {"queued", "scheduled", "received"}]


def end_of(events):
    """The data of the one terminal event among them."""
    [end] = [event for event in events if isinstance(event, (Completed, Error))]
    return end.data


def result_of(events):
    """The data of the one result among them."""
    [result] = [event for event in events if isinstance(event, Result)]
    return result.data
