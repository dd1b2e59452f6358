"""Everything a real installation has, with a network between its parts that can be broken.

::

    sender ───────────────▶ broker ◀─────────────── tail (the oracle's eye)
                            ▲    ▲
                   Celery's │    │ network "sidecars"
                            │    └──────────── sidecars ◀── network "clients" ── watchers
    tasks in workers ───────┘
      └── their events ── network "workers" ──▶ broker

Results are kept by a server of their own, or by the broker's. Workers run under a parent that
starts them again; each has a clock of its own. Celery's own traffic does not go through the
networks: what Celery does when its broker hangs is its affair. For the same reason it has another
broker than the events where these are on a cluster. Each process knows all servers of a cluster,
and begins with another one.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import emitter
import psutil
from clients import Audience, Watcher
from expectation import Course, Duty, follow, owed
from log_tail import LogTail, whenever
from oracle import Findings, check, has_ended_for, missing
from recordings import read_records
from restarted_worker import RestartedWorker
from support.conditions import eventually
from support.proxies import Proxy
from support.sidecars import SidecarProcess

from celery_wsprogress.brokers import BrokerAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.clusters import Cluster
    from support.servers import Server

DEFAULT_HEARTBEAT_INTERVAL = 0.2
LOST_AFTER = 3.0
PATIENCE = 90.0
VISIBILITY_TIMEOUT = 2
#: Seconds of silence after which a message that the broker still had would have been delivered.
RESEND_AFTER = VISIBILITY_TIMEOUT + 2.0


class System:
    """A context manager that starts it all and ends it all.

    Args:
        broker: A server that belongs to it, or several: it will be killed.
        backend: Where results are stored: a server of its own, or the broker's.
        celery: Celery's own broker, where it is not that of the events.
        skews: One worker each, whose clock is so many seconds ahead.
        sidecars: How many.
        concurrency: Processes of each worker.
        serve: More settings of the sidecars, as in ``{"WSPROGRESS_HEARTBEAT": "1"}``.
        lost_after: Seconds of silence after which a run is lost.
    """

    def __init__(
        self,
        broker: Server | Cluster,
        backend: str,
        *,
        celery: str = "",
        skews: Sequence[float] = (0.0, 300.0),
        sidecars: int = 2,
        concurrency: int = 2,
        serve: dict[str, str] | None = None,
        lost_after: float = LOST_AFTER,
    ) -> None:
        self.broker = broker
        self.records = Path(tempfile.mkdtemp(prefix="wsp-records-"))
        self._celery = celery or broker.url
        self.app = emitter.make_app(
            self._celery,
            backend,
            result_expires=600,
            wsprogress_url=broker.url,
            wsprogress_transport_options=broker.transport_options,
        )
        self.lost_after = lost_after
        self.networks = {
            name: [Proxy(port) for port in broker.ports] for name in ("workers", "sidecars")
        }
        self._sidecar_count = sidecars
        self._stack = ExitStack()
        self._backend = backend
        self._skews = skews
        self._concurrency = concurrency
        self._transport_options = {
            "WSPROGRESS_TRANSPORT_OPTIONS": json.dumps(broker.transport_options)
        }
        self._serving = {
            "WSPROGRESS_LOST_AFTER": str(lost_after),
            "WSPROGRESS_RESULT_BACKEND": backend,
            **self._transport_options,
            **(serve or {}),
        }
        self.sent_at: dict[str, float] = {}
        """When each operation was sent for the first time, by the monotonic clock."""
        self.workers: list[RestartedWorker] = []
        self.sidecars: list[SidecarProcess] = []
        self.doors: list[Proxy] = []
        """The network between each sidecar and its clients."""
        self.audience = Audience()
        self.tail = LogTail(BrokerAddress(broker.url, broker.transport_options))

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.callback(shutil.rmtree, self.records, ignore_errors=True)
            for network in itertools.chain(*self.networks.values()):
                stack.enter_context(network)
            for _ in range(self._sidecar_count):
                self._add_sidecar(stack)
            stack.enter_context(self.tail)
            for skew in self._skews:
                self._add_worker(stack, skew)
            stack.enter_context(self.audience)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        # Celery keeps what it holds open for later.
        self.app.close()
        self._stack.close()

    @property
    def legs(self) -> dict[str, list[Proxy]]:
        """The networks, by whose connections go through them."""
        return {"clients": self.doors, **self.networks}

    @property
    def urls(self) -> list[str]:
        """The sidecars, as clients reach them."""
        return [f"ws://127.0.0.1:{door.port}" for door in self.doors]

    def url_through(self, network: str, *, first: int = 0) -> str:
        """The broker, as it is reached through a network; the server to begin with, of several."""
        urls = self.broker.url.split(";")
        first %= len(urls)
        doors = {one.target: one.port for one in self.networks[network]}
        return re.sub(
            r"(?<=127\.0\.0\.1:)\d+",
            lambda port: str(doors[int(port[0])]),
            ";".join(urls[first:] + urls[:first]),
        )

    def _add_sidecar(self, stack: ExitStack) -> None:
        broker = self.url_through("sidecars", first=len(self.sidecars) + 1)
        sidecar = SidecarProcess(broker, environment=self._serving)
        self.sidecars.append(stack.enter_context(sidecar))
        self.doors.append(stack.enter_context(Proxy(sidecar.port)))

    def _add_worker(self, stack: ExitStack, skew: float) -> None:
        worker = RestartedWorker(
            "emitter",
            broker=self._celery,
            backend=self._backend,
            concurrency=self._concurrency,
            environment={
                "WSPROGRESS_URL": self.url_through("workers", first=len(self.workers)),
                **self._transport_options,
                "WSPROGRESS_SIGN_INTERVAL": str(DEFAULT_HEARTBEAT_INTERVAL),
                "VISIBILITY_TIMEOUT": str(VISIBILITY_TIMEOUT),
                "RECORDS": str(self.records),
                "CLOCK_SKEW": str(skew),
            },
        )
        self.workers.append(stack.enter_context(worker))

    # What the tests do with it.

    def join(self, name: str, *, sidecar: int = 0, ids: Iterable[str] = (), **how: Any) -> Watcher:
        """Let one more client watch, which knows all sidecars and begins with this one."""
        urls = self.urls
        return self.audience.join(name, urls[sidecar:] + urls[:sidecar], ids, **how)

    def plan(self, count: int) -> list[str]:
        """Ids for operations that are to come."""
        return [str(uuid.uuid4()) for _ in range(count)]

    def send(self, ids: Iterable[str], task: str = "once", **arguments: Any) -> None:
        """Start a task for each id, again and again while the broker is away."""
        for one in ids:
            self.sent_at.setdefault(one, time.monotonic())
            deadline = time.monotonic() + PATIENCE
            while not self._try_to_send(one, task, arguments):
                assert time.monotonic() < deadline, "the broker takes no tasks"
                time.sleep(0.1)

    def _try_to_send(self, operation_id: str, task: str, arguments: dict[str, Any]) -> bool:
        try:
            self.app.tasks[f"emitter.{task}"].apply_async(
                kwargs=arguments, task_id=operation_id, retry=False
            )
        except Exception:
            return False
        return True

    def living(self) -> set[int]:
        """The processes that are there, or ended in peace."""
        return {pid for worker in self.workers for pid in (*worker.pids, *worker.in_peace)}

    def wait_until_whole(self, timeout: float = PATIENCE) -> None:
        """Wait until everything runs, and every client is connected."""
        eventually(self.is_whole, timeout, interval=0.1, what="everything to run again")
        self.audience.wait_until_connected(timeout=timeout)

    def is_whole(self) -> bool:
        """Whether everything runs."""
        return all(worker.ready for worker in self.workers) and all(
            sidecar.running and sidecar.ready() for sidecar in self.sidecars
        )

    def has_ended(self, operation_id: str) -> bool:
        """Whether an operation has ended, as far as the log was read."""
        return self._course(operation_id).ended

    def _course(self, operation_id: str) -> Course:
        return follow(list(self.tail.log.events.get(operation_id, ())))

    def is_settled(self, operation_id: str) -> bool:
        """Whether it ended, and everyone who watches it has been shown what the log holds."""
        events = list(self.tail.log.events.get(operation_id, ()))
        if not follow(events).ended:
            return False
        final = [one for one, duty in owed(events).items() if duty is Duty.MUST][-1]
        for transcript in self.audience.transcripts:
            if operation_id not in transcript.entries:
                continue
            last = {one.event_id for one in transcript.frames(operation_id)[-8:]}
            if final not in last or not has_ended_for(transcript.entries[operation_id]):
                return False
        return True

    def come_to_rest(self, ids: Iterable[str], timeout: float = PATIENCE) -> Findings:
        """Wait until these have ended for everyone, and hold the accounts against each other.

        Processes that could not write for a while try again after pauses of up to 20 seconds:
        what the living ones have still to say is waited for, too.

        What is still open after the time is not waited for: the oracle will say what it is. A
        task whose message Celery has lost (it acknowledges before it runs one) is sent again, as
        its caller would: ``sent again`` counts them.
        """
        ids = list(ids)
        deadline = time.monotonic() + timeout
        again = 0
        rest = self._unsettled(ids)
        while (rest or self._unwritten(ids)) and time.monotonic() < deadline:
            if rest and self.tail.quiet_for > RESEND_AFTER and self.is_whole():
                forgotten = self._forgotten(rest)
                again += len(forgotten)
                self.send(forgotten, lines=1)
            time.sleep(0.2)
            rest = self._unsettled(rest)
            if not rest:
                # What is written late opens again what had ended, as a run that was held for lost.
                whenever(lambda: self.tail.quiet_for > 0.3, 5)
                rest = self._unsettled(ids)
        findings = check(
            self.tail.log,
            self.audience.transcripts,
            read_records(self.records),
            sent_at={one: self.sent_at[one] for one in ids},
            living=self.living(),
        )
        findings.counts["not in time"] = len(rest)
        findings.counts["sent again"] = again
        return findings

    def _unsettled(self, ids: Iterable[str]) -> list[str]:
        return [one for one in ids if not self.is_settled(one)]

    def _forgotten(self, ids: Sequence[str]) -> list[str]:
        """Those of which nothing will be heard any more though no task of theirs came to an end.

        What works by the log is not forgotten: if nobody goes on with it, the sidecars end it.
        """
        told = read_records(self.records)
        known = {one.operation_id for one in told if one.kind in {"result", "error"}}
        known |= self._unwritten(ids)
        courses = {one: self._course(one) for one in ids if one not in known}
        return [one for one, course in courses.items() if not (course.ended or course.works)]

    def _unwritten(self, ids: Iterable[str]) -> set[str]:
        """Those of which a process that lives has said something that is not in the log."""
        asked = set(ids)
        return {
            one.operation_id
            for one in missing(self.tail.log, read_records(self.records), self.living())
            if one.operation_id in asked
        }

    def peak_rss(self) -> int:
        """Bytes of the largest sidecar process right now."""
        running = [sidecar.pid for sidecar in self.sidecars if sidecar.pid]
        return max((psutil.Process(pid).memory_info().rss for pid in running), default=0)
