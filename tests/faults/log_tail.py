"""The oracle's own eye on the log: a thread that reads it all along, before anything is trimmed.

On Redis it knows nothing of the product but the names of the two keys; on other brokers it uses
the product's reader, straight from the broker and not through a network that is being broken.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import redis
import redis.sentinel
from recordings import Log

from celery_wsprogress.brokers import BrokerAddress, Reader, open_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEY: Final = "celery_wsprogress"
_WAIT: Final = 0.2


class _RedisReader:
    """Reads the stream with nothing but the Redis client."""

    def __init__(self, address: BrokerAddress) -> None:
        self._client = _client(address)
        self.epoch = self._wait_for_epoch()

    def read(self, position: str) -> Iterator[tuple[str, bytes]]:
        """Entries after a position, or none after a while."""
        found = self._client.get(f"{_KEY}.epoch")
        if found is None or found.decode() != self.epoch:
            raise redis.ConnectionError("this is another log")
        after = {_KEY: position or "0-0"}
        for _, entries in self._client.xread(after, count=500, block=int(_WAIT * 1000)) or ():
            for entry_id, fields in entries:
                yield entry_id.decode(), fields[b"batch"]

    def close(self) -> None:
        self._client.close()

    def _wait_for_epoch(self) -> str:
        """The first sidecar that finds the log gives it its name."""
        found = self._client.get(f"{_KEY}.epoch")
        if found is None:
            raise redis.ConnectionError("the log has no name yet")
        return found.decode()


def _client(address: BrokerAddress) -> redis.Redis:
    """A connection to the server, or to the one that the sentinels name.

    Without retries: a connection that was renewed in silence may be to another log.
    """
    if not address.url.startswith("sentinel"):
        return redis.Redis.from_url(address.url, socket_timeout=5, retry=None)
    sentinels = [urlsplit(one) for one in address.url.split(";")]
    known = redis.sentinel.Sentinel(
        [(one.hostname, one.port) for one in sentinels], socket_timeout=5
    )
    host, port = known.discover_master(address.transport_options["master_name"])
    return redis.Redis(host=host, port=port, socket_timeout=5, retry=None)


class _OurReader:
    """Reads with the product's reader."""

    def __init__(self, address: BrokerAddress, position: str, epoch: str) -> None:
        self._reader: Reader = open_reader(address, position, epoch)
        self.epoch = self._reader.epoch

    def read(self, position: str) -> Iterator[tuple[str, bytes]]:
        """Entries after a position, or none after a while."""
        for entry in self._reader.read(position, wait=_WAIT):
            yield entry.position, entry.batch

    def close(self) -> None:
        self._reader.close()


class LogTail:
    """Reads the log into :attr:`log` until it is left. A context manager.

    Args:
        address: The broker.
    """

    def __init__(self, address: BrokerAddress) -> None:
        self.log = Log()
        self._address = address
        self._epoch = self._position = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._quiet_since = time.monotonic()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending.set()
        self._thread.join(30)

    @property
    def connected(self) -> bool:
        """Whether it has ever read from the log that is there."""
        return bool(self._epoch)

    @property
    def quiet_for(self) -> float:
        """Seconds since something came."""
        return time.monotonic() - self._quiet_since

    def _run(self) -> None:
        while not self._ending.is_set():
            # Whatever a client library raises when its broker is away.
            try:
                self._read_until_it_breaks()
            except Exception:
                self._ending.wait(0.05)

    def _read_until_it_breaks(self) -> None:
        reader = self._open()
        try:
            if reader.epoch != self._epoch:
                self._epoch, self._position = reader.epoch, ""
            while not self._ending.is_set():
                for position, body in reader.read(self._position):
                    self.log.take(self._epoch, position, body)
                    self._position = position
                    self._quiet_since = time.monotonic()
        finally:
            reader.close()

    def _open(self) -> _RedisReader | _OurReader:
        if self._address.url.startswith(("redis", "sentinel")):
            return _RedisReader(self._address)
        return _OurReader(self._address, self._position, self._epoch)


def whenever(condition: Callable[[], bool], timeout: float, interval: float = 0.05) -> bool:
    """Wait until it is true; whether it became true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True
