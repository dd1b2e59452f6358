"""Clients that watch, lose their connection, and come back as the protocol says.

An :class:`Audience` is a thread with an event loop in which any number of :class:`Watcher` live.
A watcher writes down every frame it is shown; it neither leaves out nor repairs anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

from recordings import Subscribed, Transcript, resynced, said
from support.proxies import hold_little
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: Ids in one command: with an event id each they stay below what a command may have.
_CHUNK: Final = 300
_FINAL: Final = frozenset({1003, 1007, 1008, 1009, *range(4500, 5000)})
_RESTARTING: Final = 1012
_AWAY: Final = (OSError, InvalidHandshake, ConnectionClosed, TimeoutError)

#: Seconds between two attempts, at the most: much less than shipped clients wait, because a
#: test has no time.
LONGEST_PAUSE: Final = 2.0


class Watcher:
    """One client.

    Args:
        name: What findings call it.
        urls: The sidecars; it begins with the first one, and :meth:`move` goes to the next.
        ping: Seconds after which it asks whether the line is alive, and twice that to answer.
            None: it believes so for ever.
        resync: Where it fell off, it wants to be told how things stand.
    """

    def __init__(
        self, name: str, urls: Sequence[str], *, ping: float | None = 1.0, resync: bool = False
    ) -> None:
        self.transcript = Transcript(name)
        self.resync = resync
        self.connected = asyncio.Event()
        self._urls = list(urls)
        self._ping = ping
        self._watched: dict[str, str] = {}
        """The last event it saw, by operation; empty before there was any."""
        self._reading = asyncio.Event()
        self._reading.set()
        self._deaf_after = ""
        self._line: ClientConnection | None = None

    async def live(self) -> None:
        """Watch until it is cancelled."""
        pause = 0.05
        while True:
            try:
                async with connect(self._urls[0], **self._options()) as line:
                    hold_little(line.transport)
                    self.transcript.counts["connections"] += 1
                    await self._watch(line)
                    pause = 0.05
            except _AWAY as exc:
                asked = self._note(exc)
                if asked is not None:
                    await asyncio.sleep(asked)
                    continue
            finally:
                self._line = None
                self.connected.clear()
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def watch(self, ids: Iterable[str]) -> None:
        """Watch these, too."""
        new = [one for one in ids if one not in self._watched]
        self._watched.update(dict.fromkeys(new, ""))
        for one in new:
            # From now on there is an account of it, be it an empty one.
            self.transcript.entries[one]
        if self._line is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._subscribe(self._line, new)

    async def move(self) -> None:
        """Go on with the next sidecar."""
        self._urls.append(self._urls.pop(0))
        await self.leave()

    async def leave(self) -> None:
        """Close the connection; it will come back."""
        if self._line is not None:
            await self._line.close()

    def stop_reading(self, after: str = "") -> None:
        """Read nothing from now on, or once something of an operation was read."""
        self._deaf_after = after
        if not after:
            self._reading.clear()

    def go_on_reading(self) -> None:
        """Read again, beginning with what has waited."""
        self._deaf_after = ""
        self._reading.set()

    def _options(self) -> dict[str, Any]:
        return {
            "compression": None,
            "open_timeout": 10,
            "close_timeout": 1,
            "ping_interval": self._ping,
            "ping_timeout": self._ping and self._ping * 2,
        }

    async def _watch(self, line: ClientConnection) -> None:
        welcome = json.loads(await line.recv())
        if welcome["event_type"] != "connected":
            self.transcript.refused.append(f"began with {welcome}")
        self._line = line
        subscribing = asyncio.create_task(self._subscribe(line, list(self._watched)))
        try:
            while True:
                await self._reading.wait()
                self._take(json.loads(await line.recv()))
        finally:
            subscribing.cancel()
            await asyncio.wait([subscribing])

    async def _subscribe(self, line: ClientConnection, ids: list[str]) -> None:
        for first in range(0, len(ids), _CHUNK):
            some = ids[first : first + _CHUNK]
            since = {one: self._watched[one] for one in some if self._watched[one]}
            command = {"command": "subscribe", "operation_ids": some}
            asked = ({"since": since} if since else {}) | ({"resync": True} if self.resync else {})
            await line.send(json.dumps(command | asked))
        # Replies come in the order of the commands: behind this one everything is subscribed.
        await line.send(json.dumps({"command": "ping"}))

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["event_type"] == "reply":
            self._take_reply(frame)
            return
        if frame["event_type"] == "snapshot":
            # It is no event, and has no place from which to go on.
            self.transcript.counts["snapshots"] += 1
            self.transcript.entries[frame["operation_id"]].append(resynced(frame))
            return
        event = said(frame, frame["event_id"])
        self.transcript.counts["frames"] += 1
        self.transcript.entries[event.operation_id].append(event)
        self._watched[event.operation_id] = event.event_id
        if event.operation_id == self._deaf_after:
            self._reading.clear()

    def _take_reply(self, reply: dict[str, Any]) -> None:
        if "error" in reply:
            self.transcript.refused.append(str(reply["error"]))
        if reply.get("status") == "subscribed":
            now = time.monotonic()
            for one in reply["operation_ids"]:
                self.transcript.entries[one].append(Subscribed(now))
        unrecovered = [one for one in reply.get("recovered", {}).values() if not one]
        self.transcript.counts["unrecovered"] += len(unrecovered)
        if reply.get("status") == "pong":
            self.connected.set()

    def _note(self, exc: BaseException) -> float | None:
        """Write down how a connection ended; returns the seconds the sidecar asked to wait."""
        if not isinstance(exc, ConnectionClosed):
            self.transcript.counts[type(exc).__name__] += 1
            return None
        code = exc.rcvd.code if exc.rcvd else 1006
        self.transcript.counts[f"code {code}"] += 1
        if code in _FINAL:
            self.transcript.refused.append(f"closed with {code}: {exc.rcvd and exc.rcvd.reason}")
        if code == _RESTARTING and exc.rcvd and exc.rcvd.reason:
            return min(json.loads(exc.rcvd.reason)["retry_ms"] / 1000, LONGEST_PAUSE)
        return None


class Audience:
    """The watchers, and the thread they live in. A context manager."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._lives: dict[Watcher, asyncio.Task[None]] = {}
        self._gone: list[Transcript] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.dismiss(self.watchers)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    @property
    def transcripts(self) -> list[Transcript]:
        """What everyone was shown, those who went included."""
        return [*(watcher.transcript for watcher in list(self.watchers)), *self._gone]

    def do(self, work: Any, timeout: float = 60.0) -> Any:
        """Run a coroutine in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def join(self, name: str, urls: Sequence[str], ids: Iterable[str] = (), **how: Any) -> Watcher:
        """Let one more client watch these; does not wait until it does."""
        ids = list(ids)

        async def joining() -> Watcher:
            watcher = Watcher(name, urls, **how)
            await watcher.watch(ids)
            self.watchers.append(watcher)
            self._lives[watcher] = self._loop.create_task(watcher.live(), name=name)
            return watcher

        found: Watcher = self.do(joining())
        return found

    def watch(self, ids: Iterable[str], watchers: Iterable[Watcher] | None = None) -> None:
        """Let these (or all) watch more operations; returns when the commands are sent."""
        ids = list(ids)

        async def watching() -> None:
            chosen = self.watchers if watchers is None else watchers
            await asyncio.gather(*(one.watch(ids) for one in chosen))

        self.do(watching())

    def wait_until_connected(
        self, watchers: Iterable[Watcher] | None = None, timeout: float = 240.0
    ) -> None:
        """Wait until these (or all) are connected and have been told of their subscriptions."""

        async def waiting() -> None:
            chosen = self.watchers if watchers is None else watchers
            async with asyncio.timeout(timeout):
                await asyncio.gather(*(one.connected.wait() for one in list(chosen)))

        self.do(waiting(), timeout + 10)

    def dismiss(self, watchers: Iterable[Watcher]) -> None:
        """Let these go for good."""
        self.do(self._end(list(watchers)))

    def move(self, watchers: Iterable[Watcher]) -> None:
        """Let these go on with their next sidecar."""

        async def moving() -> None:
            await asyncio.gather(*(one.move() for one in watchers))

        self.do(moving())

    def call(self, what: Callable[[], object]) -> None:
        """Call something in the loop's thread, and wait until it is done."""

        async def calling() -> None:
            what()

        self.do(calling())

    async def _end(self, watchers: list[Watcher]) -> None:
        lives = [self._lives.pop(one) for one in watchers]
        self.watchers = [one for one in self.watchers if one not in watchers]
        self._gone += [one.transcript for one in watchers]
        for task in lives:
            task.cancel()
        ended = await asyncio.gather(*lives, return_exceptions=True)
        failed = [one for one in ended if isinstance(one, Exception)]
        if failed:
            raise failed[0]
