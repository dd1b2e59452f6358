"""The kinds of inputs: how one is drawn, and what must hold when it is taken.

A kind is made anew for each round of inputs. So an input depends on those of its round before it,
and on nothing else.
"""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from support.deliveries import deliver
from support.hub_clients import HubClient
from support.tokens import KEY, NOW, verifier
from support.tokens import token as signed
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from celery_wsprogress.errors import BatchVersionUnknown, MalformedBatch
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.store import RECORD_BYTES, Limits, OperationStore
from celery_wsprogress.protocol.batches import Batch, decode_batch
from celery_wsprogress.protocol.event_ids import event_id_of_frame
from celery_wsprogress.protocol.messages import MAX_FRAME_BYTES
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.access.authorizer import Authorizer
from celery_wsprogress.sidecar.client_input import ClientInput
from celery_wsprogress.sidecar.connection import ProgressConnection
from celery_wsprogress.sidecar.http.event_requests import headers_of_events, subscription
from celery_wsprogress.sidecar.http.handshake import operation_id_in_path, permit_for
from celery_wsprogress.sidecar.http.request_handler import RequestHandler
from celery_wsprogress.sidecar.http.routes import JSON, RequestContext, route
from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus
from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
from celery_wsprogress.sidecar.limits.admission import ConnectionLimits
from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
from celery_wsprogress.sidecar.metrics.latency import Latencies
from fuzz import batches, commands, requests
from fuzz.tokens import Token, token
from fuzz.values import CANARY, OPERATIONS, some

if TYPE_CHECKING:
    from random import Random

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.access.tokens import TokenVerifier

OPEN = ServeSettings()
EXACT = ServeSettings(exact_only=True)
LOCKED = ServeSettings.load({"key": KEY, "trusted_proxies": "127.0.0.1"})
SETTINGS = [OPEN, EXACT, LOCKED]

LIMITS = Limits(max_finished=3, max_waiting=5, max_history_bytes=50_000)


class Kind(Protocol):
    """One kind of inputs."""

    def draw(self, rng: Random) -> Any:
        """Draw the next input."""

    def run(self, drawn: Any) -> object:
        """Take it. Raises for whatever should not be."""


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def strict(written: bytes) -> Any:
    """The value of strict JSON."""
    return json.loads(written.decode(), parse_constant=refuse)


def verifier_of(settings: ServeSettings) -> TokenVerifier | None:
    """What verifies tokens."""
    return verifier() if settings is LOCKED else None


def permit_of(request: Request | None, settings: ServeSettings) -> Permit:
    """The first permit of a connection."""
    return permit_for(request, settings, verifier_of(settings))


class Client(HubClient):
    """A client of a hub, which checks all that it is sent."""

    def __init__(self, hub: Hub, settings: ServeSettings) -> None:
        super().__init__(hub, permit_of(None, settings))

    def ask_for(self, frame: str) -> list[Any]:
        """Send a command; what is read then. The reply to it comes first."""
        found = checked(self.send(frame))
        assert found, "a command is answered"
        assert found[0]["event_type"] == "reply", found[0]
        return found

    def leave(self) -> None:
        """End the connection; nothing of it may be left."""
        self.hub.subscriptions.disconnect(self.session)
        assert len(self.hub.subscriptions.index) == 0, "no subscription is left"
        assert not self.session.has_unread, "nothing unread is left"
        assert not self.session.reading(), "no cursor is left"
        assert not self.session.subscribed
        assert not self.session.selectors


def checked(frames: list[bytes]) -> list[Any]:
    """What frames of a client say, which is as the protocol wants it."""
    assert all(len(one) <= MAX_FRAME_BYTES for one in frames), "a frame is too large"
    found = [strict(one) for one in frames]
    assert all(type(one.get("event_type")) is str for one in found), "each has its type"
    assert all(type(one.get("data")) is dict for one in found), "each has its data"
    return found


def written_hub() -> Hub:
    """A hub with operations in all states."""
    hub = Hub()
    events = []
    for number, name in enumerate(OPERATIONS):
        common = {"operation_id": name, "timestamp": NOW, "run": "r1"}
        described = {"message": "", "details": {}}
        started = {
            "status": "queued" if number == 0 else "started",
            "operation_type": f"proj.task{number % 3}",
            "metadata": {},
            "tags": [some_tag(number)],
            "root_id": OPERATIONS[0],
            "group_id": "g1",
        }
        events.append({"event_type": "status", "data": started | described} | common)
        for step in range(number * 3):
            data = {"progress": step / 100} | described
            events.append({"event_type": "progress", "data": data} | common)
            data = {"level": "info", "message": "x" * 50}
            events.append({"event_type": "log", "data": data} | common)
        if number % 3 == 2:
            events.append({"event_type": "completed", "data": {"status": "completed"}} | common)
    written = json.dumps({"v": 1, "writer": "w", "n": 1, "events": events}).encode()
    hub.process_batch(decode_batch(written), epoch="e1", position="5-0", now=0.0)
    hub.take_deliveries()
    return hub


def some_tag(number: int) -> str:
    """The tag of an operation."""
    return "red" if number % 2 else "blue"


class Commands:
    """A command of a client that has sent none before."""

    def __init__(self) -> None:
        self._hub = written_hub()

    def draw(self, rng: Random) -> tuple[ServeSettings, str]:
        return some(rng, SETTINGS), commands.command(rng)

    def run(self, drawn: tuple[ServeSettings, str]) -> bool:
        """Send it; whether it was taken."""
        settings, frame = drawn
        client = Client(self._hub, settings)
        reply, *_ = client.ask_for(frame)
        client.leave()
        return "error" not in reply


class Sessions:
    """A connection: commands, batches of the log, reads, and the end, in any order."""

    def draw(self, rng: Random) -> list[tuple[str, Any]]:
        steps: list[tuple[str, Any]] = [("settings", some(rng, [OPEN, OPEN, EXACT]))]
        steps.append(("interval", some(rng, [0.0, 0.05])))
        for counter in range(1, rng.randrange(3, 16)):
            kind = rng.random()
            if kind < 0.45:
                steps.append(("command", commands.command(rng)))
            elif kind < 0.8:
                steps.append(("batch", batches.batch(rng, counter)))
            elif kind < 0.9:
                steps.append(("read", rng.random()))
            elif kind < 0.96:
                steps.append(("wait", some(rng, [0.01, 1.0, 100_000.0])))
            else:
                steps.append(("epoch", some(rng, ["e1", "e2", "e9"])))
        return steps

    def run(self, drawn: list[tuple[str, Any]]) -> None:
        (_, settings), *steps = drawn
        self._run(settings, steps)

    def _run(self, settings: ServeSettings, steps: list[tuple[str, Any]], *claims: Any) -> None:
        (_, interval), *steps = steps
        hub = Hub(OperationStore(LIMITS), progress_interval=interval)
        connection = Connection(hub, settings, *claims)
        for name, value in steps:
            connection.take(name, value)
        checked(connection.client.read(connection.now))
        connection.client.leave()
        check_bounds(hub)


class Views(Sessions):
    """The same, of a client whose token has the view ``progress``, and a look over HTTP."""

    def draw(self, rng: Random) -> list[tuple[str, Any]]:
        operations = some(rng, [["*"], ["*"], ["tag:red"], ["group:g1"], ["type:proj.*"], ["op-1"]])
        _, interval, *steps = super().draw(rng)
        claims = {"ids": None, "ops": operations, "view": "progress"}
        return [("claims", claims), interval, *self._beginning(rng), *steps]

    def _beginning(self, rng: Random) -> list[tuple[str, Any]]:
        """The client watches operations that it may watch, though perhaps not for long."""
        if rng.random() < 0.5:
            return []
        described = {"message": "", "details": {}, "operation_type": "proj.add"}
        data = {"status": "started", "tags": ["red"], "group_id": "g1"} | described
        common = {"event_type": "status", "timestamp": NOW, "run": "r1", "data": data}
        events = [common | {"operation_id": name} for name in OPERATIONS[:3]]
        written = {"v": 1, "writer": "beginning", "n": 1, "events": events}
        return [
            ("batch", json.dumps(written).encode()),
            *(
                ("command", json.dumps({"command": "subscribe", "operation_id": name}))
                for name in OPERATIONS[:3]
            ),
        ]

    def run(self, drawn: list[tuple[str, Any]]) -> None:
        (_, claims), *steps = drawn
        self._run(LOCKED, steps, claims)


class Guarded(Client):
    """A client with one token, which is shown nothing that this hides."""

    def __init__(self, hub: Hub, settings: ServeSettings, claims: dict[str, Any]) -> None:
        super().__init__(hub, settings)
        self.session.permit.add(signed(**claims), timestamp=NOW)

    def send(self, frame: str, now: float = 0.0) -> list[bytes]:
        """Send a command; then look over HTTP, too."""
        found = super().send(frame, now)
        context = RequestContext(
            hub=self.hub, permit=self.session.permit, timestamp=NOW, report=dict
        )
        for target in ("/operations", f"/operations/{OPERATIONS[1]}"):
            assert CANARY.encode() not in take_all(route(target, context)).body, "hidden over HTTP"
        return found

    def read(self, now: float = 0.0) -> list[bytes]:
        """All that there is to read."""
        found = super().read(now)
        assert CANARY.encode() not in b"".join(found), "what the view hides is not sent"
        for one in map(strict, found):
            assert not self._is_foreign(one), "no token grants this operation"
        return found

    def _is_foreign(self, event: Any) -> bool:
        """Whether an event is of an operation that may not be watched, as it stands now."""
        record = self.hub.store.get(event.get("operation_id", ""))
        if record is None or "event_id" not in event:
            return False
        # One that was evicted had other rights; its id may be used again.
        held = {event_id_of_frame(entry.frame) for entry in record.history.after(0)}
        if event["event_id"] not in held:
            return False
        return not self.session.permit.may_watch(record.operation_id, NOW, record.operation)


class Connection:
    """What goes on with one hub and one client."""

    def __init__(self, hub: Hub, settings: ServeSettings, claims: Any = None) -> None:
        self.hub = hub
        self.client = Guarded(hub, settings, claims) if claims else Client(hub, settings)
        self.now = 0.0
        self._epoch = "e1"
        self._positions = count(1)

    def take(self, name: str, value: Any) -> None:
        """Take one step."""
        if name == "command":
            self.client.ask_for(value)
        elif name == "batch":
            found = decoded(value)
            if found is not None:
                position = f"{next(self._positions)}-0"
                self.hub.process_batch(found, epoch=self._epoch, position=position, now=self.now)
                self._deliver()
        elif name == "read":
            checked(self.client.read(self.now))
        elif name == "wait":
            self.now += value
            self.hub.store.expire(self.now)
            self.hub.flush_due(self.now)
            self._deliver()
        else:
            self._epoch = value

    def _deliver(self) -> None:
        deliver(self.hub)


def decoded(written: bytes) -> Batch | None:
    """The batch; None where it is refused, as it may be."""
    try:
        return decode_batch(written)
    except (MalformedBatch, BatchVersionUnknown):
        return None


def check_bounds(hub: Hub) -> None:
    """What a hub holds is within its limits."""
    store = hub.store
    records = list(store.oldest_first())
    assert len(records) == len(store)
    sizes = (one.history.size + one.counted_size + one.plan_size + RECORD_BYTES for one in records)
    assert store.history_bytes == sum(sizes), "bytes are counted"
    assert store.history_bytes <= LIMITS.max_history_bytes or len(records) == 1
    for record in records:
        strict(json.dumps(record.snapshot(), allow_nan=False, default=dict).encode())


class Batches:
    """A batch of the log, read by a hub that has read others before."""

    def __init__(self) -> None:
        self._hub = Hub(OperationStore(LIMITS), progress_interval=0.05)
        self._counter = count(1)

    def draw(self, rng: Random) -> tuple[int, bytes]:
        counter = next(self._counter)
        return counter, batches.batch(rng, counter)

    def run(self, drawn: tuple[int, bytes]) -> None:
        counter, written = drawn
        found = decoded(written)
        if found is None:
            return
        now = counter / 100
        self._hub.process_batch(found, epoch="e1", position=str(counter), now=now)
        self._hub.flush_due(now)
        self._hub.take_deliveries()
        check_bounds(self._hub)


class Tokens:
    """A token, in a command and in a header."""

    def __init__(self) -> None:
        self._hub = written_hub()

    def draw(self, rng: Random) -> Token:
        return token(rng)

    def run(self, drawn: Token) -> None:
        client = Client(self._hub, LOCKED)
        command = {"command": "authenticate", "token": drawn.text}
        [reply] = client.ask_for(json.dumps(command))
        assert ("error" in reply) != (reply.get("status") == "authenticated")
        permit = client.session.permit
        if not drawn.signed:
            assert "error" in reply, "a bad signature grants nothing"
            assert not permit.may_count(NOW)
        assert drawn.text not in reply.get("error", "") or len(drawn.text) < 9, "nothing is quoted"
        client.leave()


class Peer(ProgressConnection):
    """The connection that a request came over."""

    remote_address = ("127.0.0.1", 4321)

    def __init__(self, limits: ClientLimits) -> None:
        super().__init__(ServerProtocol(), None, limits=limits)
        self.input = ClientInput(self, "", limits.new_budget(), limits.memory)


class Requests:
    """The head of a request, from the bytes to the response."""

    def __init__(self) -> None:
        self._handlers = {id(settings): handler(settings) for settings in SETTINGS}
        self._loop = asyncio.new_event_loop()
        # Playwright, where a test has used it, leaves its loop running in the thread of the tests.
        self._thread = ThreadPoolExecutor(1)

    def draw(self, rng: Random) -> tuple[ServeSettings, bytes]:
        return some(rng, SETTINGS), requests.head(rng)

    def run(self, drawn: tuple[ServeSettings, bytes]) -> None:
        settings, head = drawn
        protocol = ServerProtocol()
        protocol.receive_data(head)
        for request in protocol.events_received():
            assert isinstance(request, Request)
            self._respond(request, settings)

    async def _process(self, request: Request, settings: ServeSettings) -> Response | None:
        limits = client_limits()
        return await self._handlers[id(settings)].process(Peer(limits), request)

    def _respond(self, request: Request, settings: ServeSettings) -> None:
        work = self._process(request, settings)
        response = self._thread.submit(self._loop.run_until_complete, work).result()
        if response is None:
            Client(Hub(), settings).ask_for(
                json.dumps(
                    {"command": "subscribe", "operation_id": operation_id_in_path(request.path)}
                )
            )
            permit_of(request, settings)
            return
        for name, value in response.headers.raw_items():
            assert not {"\r", "\n"} & {*name, *value}, "no header begins another one"
        if response.headers.get("Content-Type") == JSON and request.method != "HEAD":
            strict(response.body)
        allowed = response.headers.get("Access-Control-Allow-Origin")
        if allowed not in {None, "null", "*", "file://"}:
            assert urlsplit(allowed).hostname, allowed

    def __del__(self) -> None:
        self._thread.shutdown()
        self._loop.close()


def client_limits() -> ClientLimits:
    """Limits that no request reaches."""
    return ClientLimits(ConnectionLimits(total=10, per_address=10, per_subject=10))


class EventHeads:
    """Answers requests for events, without a socket that they could be sent to."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings

    async def respond(self, _peer: Peer, request: Request, *_: object) -> Response:
        assert subscription(request, "op")["since"]
        return headers_of_events(request, self._settings)


def handler(settings: ServeSettings) -> RequestHandler:
    """What answers requests, with a hub that has read its log."""
    hub, broker, replay = written_hub(), BrokerStatus(), StartupReplay()
    replay.complete()
    latencies, limits = Latencies(), client_limits()
    metrics = MetricsCollector(hub, broker, replay, {}, latencies, limits=limits)
    return RequestHandler(
        settings,
        authorizer=Authorizer(settings),
        hub=hub,
        events=EventHeads(settings),
        startup_replay=replay,
        metrics=metrics,
        report=metrics.report,
        link=None,
    )


KINDS: dict[str, type[Kind]] = {
    "commands": Commands,
    "sessions": Sessions,
    "views": Views,
    "batches": Batches,
    "tokens": Tokens,
    "requests": Requests,
}
