"""The event log on the broker: one exchange, several ways to keep what passes.

Every broker carries the events through one kombu exchange, ``celery_wsprogress`` unless
``wsprogress_exchange`` names another one. What keeps the events is named after it.
What differs is what the exchange keeps and how a sidecar reads it, so a broker is two
small objects made by :func:`open_writer` and :func:`open_reader`:

* a :class:`Writer` appends one batch of bytes;
* a :class:`Reader` returns the batches after a position.

============================  =====================  ==========  ==============================
broker                        module                 replayable  the exchange keeps
============================  =====================  ==========  ==============================
Redis, TLS, socket, sentinel  ``redis_stream``       yes         a capped stream
RabbitMQ                      ``amqp.stream``        yes         a capped stream queue
RabbitMQ without streams      ``amqp.queue``         no          a queue per sidecar, for 5 min
whatever else kombu speaks    ``exchange``           no          nothing
============================  =====================  ==========  ==============================

Only raw bytes pass here. Nothing is ever unpickled, and nothing is decoded:
:mod:`celery_wsprogress.protocol.batches` does that.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from celery_wsprogress.brokers.failure import secrets_of
from celery_wsprogress.brokers.transports import module_of
from celery_wsprogress.settings import EXCHANGE as EXCHANGE
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

#: Batches are kept below this many bytes: it bounds what the log costs the broker's memory.
MAX_BATCH_BYTES: Final = 32_768


#: Characters that an epoch may have.
MAX_EPOCH_LENGTH: Final = 16

_EPOCH: Final = re.compile(rf"[0-9A-Za-z]{{1,{MAX_EPOCH_LENGTH}}}")


def is_epoch(word: str) -> bool:
    """Say whether a word can name an incarnation of the log, and stand in an event's id."""
    return _EPOCH.fullmatch(word) is not None


class BrokerAddress(NamedTuple):
    """Where the log is, and how to get there; everything kombu needs for a connection."""

    url: str
    """A kombu URL. May hold a password: never print it, print the address itself."""
    transport_options: Mapping[str, Any] = {}
    use_ssl: Any = None
    """As Celery's ``broker_use_ssl``."""
    login_method: str | None = None
    exchange: str = EXCHANGE
    """The exchange of the events. Programs that name different ones do not see each other's."""
    log_bytes: int | None = None
    """What the log may take of the broker; None for what is usual there."""

    @property
    def secrets(self) -> Sequence[str]:
        """What of it must never be shown."""
        return secrets_of(self.url, {**self.transport_options, "use_ssl": self.use_ssl})

    def __repr__(self) -> str:
        """Without the password; the options may hold one, too."""
        return f"<BrokerAddress {masked(self.url)}>"


class Entry(NamedTuple):
    """One batch as the log holds it."""

    position: str
    """Where the batch stands in the log; opaque, and the same for every reader where the
    log is replayable."""
    batch: bytes
    written_at: float = 0.0
    """When the broker took it, epoch seconds: of its clock, or of ours where it does not say and
    we waited for it; 0 where neither is known."""


class Writer(Protocol):
    """Appends batches to the log. Used by one thread: the flusher of a process."""

    def publish(self, batch: bytes, *, confirm: bool) -> None:
        """Append one batch.

        Blocks for a few seconds at the most (socket timeouts are set).

        Args:
            batch: At most :data:`MAX_BATCH_BYTES`.
            confirm: Return only when the broker has taken responsibility for it. False
                for batches that carry nothing but progress.

        Raises:
            Exception: whatever the client library raises when the broker is away. The
                caller closes this writer and opens another one after a pause.
        """
        ...

    def keep_alive(self) -> None:
        """Answer the broker's heartbeats.

        Called about every second between batches; costs nothing where there are none. Raises
        like :meth:`publish`.
        """
        ...

    def close(self) -> None:
        """Let go of the connection. Never raises, never waits for a broker that is away."""
        ...


class Reader(Protocol):
    """Reads batches from the log. Used by one thread; only :meth:`close` may come from another."""

    epoch: str
    """Names this incarnation of the log: positions of one epoch mean nothing in another.
    Short, of letters and digits. The same for every reader of a replayable log."""

    replayable: bool
    """Whether the log keeps what passed, so that a new reader can read it from the start."""

    end: str
    """A position near the end of the log when the reader was opened, ``""`` where nothing is
    retained or nothing passed yet. Whoever has read up to it knows what was there before."""

    def read(self, position: str, *, wait: float) -> Sequence[Entry]:
        """Return what comes after a position, oldest first.

        Args:
            position: The position of the last entry already read, or ``""`` for the start
                of what is retained (a replayable log) or for now (a live one).
            wait: Seconds to wait for at least one entry; then ``[]`` is returned.

        Raises:
            Exception: whatever the client library raises when the broker is away, and
                after :meth:`close`.
        """
        ...

    def close(self) -> None:
        """End a :meth:`read` that waits, from any thread, and let go. Never raises."""
        ...


def prepare(address: BrokerAddress) -> None:
    """Import what the broker needs, and refuse an address that is none. Connects to nothing.

    Raises:
        ConfigurationError: kombu has no transport for the URL, or its driver is missing.
    """
    _module_of(address)
    import_module(f"{__name__}.connection").check(address)


def lacks_fanout(address: BrokerAddress) -> bool:
    """Whether readers would take the batches away from each other. Connects to nothing.

    Raises:
        ConfigurationError: as :func:`prepare`.
    """
    one: bool = import_module(f"{__name__}.connection").lacks_fanout(address)
    return one


def open_writer(address: BrokerAddress) -> Writer:
    """Connect, and declare what keeps the batches. Blocks for a few seconds at the most.

    Raises:
        ConfigurationError: the address is none, whatever the network does.
        Exception: whatever the client library raises when the broker is away.
    """
    writer: Writer = _module_of(address).open_writer(address)
    return writer


def open_reader(address: BrokerAddress, position: str = "", epoch: str = "") -> Reader:
    """Connect, and find out whether the log is still the one that is known.

    Whoever lost a reader opens the next one with the position and the epoch it had. When
    the new reader's ``epoch`` is another one, the log is another one: the old positions
    mean nothing any more and the caller must start at ``""``.

    .. code-block:: python

        reader = open_reader(address, position, epoch)
        if reader.epoch != epoch:
            position, epoch = "", reader.epoch

    Args:
        address: Where the log is.
        position: Of the last entry read in ``epoch``; ``""`` when there was none.
        epoch: That of the reader before this one; ``""`` for a first reader.

    Raises:
        ConfigurationError: the address is none, whatever the network does.
        Exception: whatever the client library raises when the broker is away.
    """
    reader: Reader = _module_of(address).open_reader(address, position, epoch)
    return reader


def _module_of(address: BrokerAddress) -> ModuleType:
    # Imported when a broker is opened, so that nobody loads the client library of one they do not
    # use.
    return import_module(f"{__name__}.{module_of(address.url)}")
