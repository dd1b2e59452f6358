"""The event log on the broker: one exchange, several ways to keep what passes.

Every broker carries the events through one kombu exchange (``wsprogress_exchange``). Brokers differ
in what the exchange keeps and how a sidecar reads it. So a broker is two small objects:
:func:`open_writer` and :func:`open_reader` return them.

* a :class:`Writer` appends one batch of bytes;
* a :class:`Reader` returns the batches after a position.

============================  =====================  ==========  ==============================
broker                        module                 replayable  the exchange keeps
============================  =====================  ==========  ==============================
Redis, TLS, socket, sentinel  ``redis.stream``       yes         a capped stream
RabbitMQ                      ``amqp.stream``        yes         a capped stream queue
RabbitMQ without streams      ``amqp.queue``         no          a queue per sidecar, for 5 min
any other kombu transport     ``exchange``           no          nothing
============================  =====================  ==========  ==============================

This package passes raw bytes on and unpickles nothing. They are decoded by
:mod:`celery_wsprogress.protocol.batches`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from celery_wsprogress.brokers.failure import secrets_of
from celery_wsprogress.brokers.transports import module_of
from celery_wsprogress.common_settings import EXCHANGE as EXCHANGE
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

#: Bytes of a batch. The limit bounds what the log costs the broker's memory.
MAX_BATCH_BYTES: Final = 32_768


class BrokerAddress(NamedTuple):
    """The parameters of a kombu connection to the broker of the events."""

    url: str
    """A kombu URL. It may hold a password: print the address instead."""
    transport_options: Mapping[str, Any] = {}
    use_ssl: Any = None
    """The value of Celery's ``broker_use_ssl``."""
    login_method: str | None = None
    exchange: str = EXCHANGE
    """The exchange of the events. Programs with different exchanges do not see each other's."""
    log_bytes: int | None = None
    """Bytes that the log may take of the broker; None for the broker's default."""

    @property
    def secrets(self) -> Sequence[str]:
        """The texts that must never be shown."""
        return secrets_of(self.url, {**self.transport_options, "use_ssl": self.use_ssl})

    def __repr__(self) -> str:
        """Return the URL without its password, and no options: they may hold one, too."""
        return f"<BrokerAddress {masked(self.url)}>"


class LogEntry(NamedTuple):
    """One batch in the log."""

    position: str
    """An opaque position; the same for every reader of a replayable log."""
    batch: bytes
    written_at: float = 0.0
    """The time when the broker took the batch, in epoch seconds: by its clock, or by the clock of
    the process that waited for it; 0 where unknown."""


class LogFault(NamedTuple):
    """What is wrong with a log that can be written to."""

    text: str
    """What was found. It may hold the broker's own words."""
    advice: str
    """What to do about it."""
    is_fatal: bool = False
    """Whether nobody can read the log."""


class Writer(Protocol):
    """Appends batches to the log. One thread uses it: the flusher of a process."""

    def publish(self, batch: bytes, *, confirm: bool) -> None:
        """Append one batch. Blocks for a few seconds at most.

        Args:
            batch: At most :data:`MAX_BATCH_BYTES`.
            confirm: Whether to return only when the broker has taken responsibility for it.
                False for batches of progress alone.

        Raises:
            Exception: whatever the client library raises when the broker is down. The caller
                closes this writer and opens another one after a pause.
        """
        ...

    def keep_alive(self) -> None:
        """Answer the broker's heartbeats. Raises like :meth:`publish`.

        The caller calls it about once a second between batches.
        """
        ...

    def close(self) -> None:
        """Close the connection. Never raises, and never waits for a broker that is down."""
        ...


class Reader(Protocol):
    """Reads batches from the log. One thread uses it; any thread may call :meth:`close`."""

    epoch: str
    """The name of this incarnation of the log, of letters and digits. A position means nothing in
    another epoch. All readers of a replayable log have the same."""

    replayable: bool
    """Whether the log keeps entries, so that a new reader can read it from the start."""

    end: str
    """A position near the end of the log when the reader was opened; ``""`` where there is none.
    A caller that has read up to it knows what was there before."""

    def read(self, position: str, *, wait: float) -> Sequence[LogEntry]:
        """Return the entries after a position, oldest first.

        Args:
            position: The position of the last entry that was read; ``""`` for the oldest retained
                entry, or for now where the log is not replayable.
            wait: Seconds to wait for at least one entry before ``[]`` is returned.

        Raises:
            Exception: whatever the client library raises when the broker is down, and
                after :meth:`close`.
        """
        ...

    def close(self) -> None:
        """End a waiting :meth:`read`, from any thread, and close the connection. Never raises."""
        ...


def prepare(address: BrokerAddress) -> None:
    """Import the client library and check the address. Connects to nothing.

    Raises:
        ConfigurationError: kombu has no transport for the URL, or its driver is missing.
    """
    _module_of(address)
    import_module(f"{__name__}.connection").check(address)


def lacks_fanout(address: BrokerAddress) -> bool:
    """Return whether readers would take the batches from each other. Connects to nothing.

    Raises:
        ConfigurationError: as :func:`prepare`.
    """
    one: bool = import_module(f"{__name__}.connection").lacks_fanout(address)
    return one


def find_fault(address: BrokerAddress) -> LogFault | None:
    """Look for what a writer does not notice in the log. Connects; blocks for a few seconds.

    Only RabbitMQ's log can have such faults. Call it after a writer was open.

    Raises:
        Exception: whatever the client library raises when the broker is down.
    """
    if not module_of(address.url).startswith("amqp."):
        return None
    found: LogFault | None = import_module(f"{__name__}.amqp.fault").find_fault(address)
    return found


def open_writer(address: BrokerAddress) -> Writer:
    """Connect, and declare the exchange and what keeps its batches. Blocks for a few seconds.

    Raises:
        ConfigurationError: as :func:`prepare`.
        Exception: whatever the client library raises when the broker is down.
    """
    writer: Writer = _module_of(address).open_writer(address)
    return writer


def open_reader(address: BrokerAddress, position: str = "", epoch: str = "") -> Reader:
    """Connect, and find out whether the log is still the known one.

    A caller that lost a reader opens the next one with its position and epoch. Where the new
    reader has another epoch, the caller must start at ``""``.

    .. code-block:: python

        reader = open_reader(address, position, epoch)
        if reader.epoch != epoch:
            position, epoch = "", reader.epoch

    Args:
        address: Where the log is.
        position: The position of the last entry read in ``epoch``; ``""`` for none.
        epoch: The epoch of the previous reader; ``""`` for a first reader.

    Raises:
        ConfigurationError: as :func:`prepare`.
        Exception: whatever the client library raises when the broker is down.
    """
    reader: Reader = _module_of(address).open_reader(address, position, epoch)
    return reader


def _module_of(address: BrokerAddress) -> ModuleType:
    # Imported here, so that no process loads the client library of a broker it does not use.
    return import_module(f"{__name__}.{module_of(address.url)}")
