"""Whatever dies on the way: every client learns how every operation ended, and learns it once.

One installation a broker, to which one thing after the other happens while operations run; after
each the oracle holds what the tasks said, what the log accepted and what each client was shown
against each other.
"""

from __future__ import annotations

import random
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest
from conftest import make_or_skip
from faults import (
    BLACKOUT,
    BROKER_KILLED,
    FAULTS,
    HALF_OPEN,
    HALF_OPEN_EVERYWHERE,
    WORKER_KILLED,
    WORKER_PAUSED,
    Fault,
    crowd,
    kill_worker,
    scatter,
)
from log_tail import whenever
from oracle import has_ended_for
from prometheus_client.parser import text_string_to_metric_families
from recordings import ALIVE
from recordings import ENDS as WORDS_OF_THE_END
from rounds import check_nothing_is_lost, go_through, has_started
from support.conditions import eventually
from support.servers import RabbitMQServer, RedisServer
from system import System

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.servers import Server

MANY = 1_000


class Servers(NamedTuple):
    """What an installation stands on."""

    make_broker: Callable[[], Server]
    results_on_broker: bool = False


def make_redis():
    return RedisServer(persistent=True)


REDIS = pytest.param(Servers(make_redis), id="on redis", marks=pytest.mark.redis)
ONE_REDIS = pytest.param(
    Servers(make_redis, results_on_broker=True), id="on one redis", marks=pytest.mark.redis
)
RABBITMQ = pytest.param(Servers(RabbitMQServer), id="on rabbitmq", marks=pytest.mark.rabbitmq)

#: What happens between clients and sidecars, or within a worker, is the same on every broker.
#: Half-open connections are not, but on RabbitMQ they take half a minute: tests/brokers has them
#: with shorter heartbeats, and the soak as they are.
EVERYWHERE_ALIKE = {
    fault
    for fault in FAULTS
    if fault.name.startswith(("clients", "pool", "worker restarted", "network slow"))
    or fault.name.endswith((": clients", "sidecar restarted"))
} | {WORKER_PAUSED, HALF_OPEN_EVERYWHERE}
SHORT = [*(one for one in FAULTS if one not in {*HALF_OPEN, BLACKOUT}), HALF_OPEN_EVERYWHERE]


@pytest.fixture(scope="module")
def system(request, redis_server):
    redis_server.clear()
    servers = request.param
    broker = make_or_skip(servers.make_broker)
    results = broker if servers.results_on_broker else redis_server
    with broker, System(broker, results.url) as made:
        for number in range(4):
            made.join(f"client {number}", sidecar=number % 2, resync=number >= 2)
        yield made


on_redis = pytest.mark.parametrize("system", [REDIS], indirect=True)
on_one_redis = pytest.mark.parametrize("system", [ONE_REDIS], indirect=True)
on_each_broker = pytest.mark.parametrize("system", [REDIS, RABBITMQ], indirect=True)


def frames_of(system, operation_id):
    watching = system.audience.transcripts
    return [frame for transcript in watching for frame in transcript.frames(operation_id)]


@on_each_broker
@pytest.mark.parametrize("fault", [one for one in SHORT if one not in EVERYWHERE_ALIKE], ids=str)
def test_nothing_is_lost_and_nothing_comes_twice(system, fault):
    check_nothing_is_lost(go_through(system, fault, random.Random(fault.name)))


@on_redis
@pytest.mark.parametrize("fault", [one for one in SHORT if one in EVERYWHERE_ALIKE], ids=str)
def test_nor_is_it_where_one_broker_stands_for_all(system, fault):
    check_nothing_is_lost(go_through(system, fault, random.Random(fault.name)))


@on_one_redis
@pytest.mark.parametrize("fault", [BROKER_KILLED, WORKER_KILLED, BLACKOUT], ids=str)
def test_nothing_is_lost_where_the_results_are_on_the_broker_too(system, fault):
    check_nothing_is_lost(go_through(system, fault, random.Random(fault.name)))


@on_redis
def test_clocks_that_differ_by_minutes_change_nothing(system):
    """One of the workers is five minutes ahead; nobody is given up for that."""
    system.wait_until_whole()
    times: list[float] = []
    # Until both workers have had some of it: one may be quick enough to take it all.
    for _ in range(10):
        # As many as there are processes, so that no message waits until it is delivered again.
        ids = system.plan(4)
        system.audience.watch(ids)
        system.send(ids, "once", lines=3, pause=system.lost_after * 0.4)
        check_nothing_is_lost(system.come_to_rest(ids))
        events = [event for one in ids for event in system.tail.log.events[one]]
        assert not [event for event in events if event.inferred]
        times += [event.at for event in events if event.kind == "log"]
        if max(times) - min(times) > 250:
            return
    raise AssertionError("only one of the workers was ever given something")


def kill_all_workers_during(system, task, **arguments):
    """Kill every worker while one operation is under way; its id."""
    [one] = ids = system.plan(1)
    system.wait_until_whole()
    system.audience.watch(ids)
    system.send(ids, task, **arguments)
    eventually(lambda: has_started(system, one), what="the task to begin")
    for worker in system.workers:
        worker.kill()
    return one


@on_each_broker
def test_a_task_that_is_lost_with_its_worker_ends_as_lost(system):
    """It acknowledges before it runs: nobody will run it again, and nobody can say how it ended."""
    one = kill_all_workers_during(system, "once", lines=2, pause=600)
    check_nothing_is_lost(system.come_to_rest([one]))
    ends = [frame for frame in frames_of(system, one) if frame.is_end]
    assert [(end.kind, end.text) for end in ends] == [("error", "WorkerLost")] * 4
    assert len({end.event_id for end in ends}) == 1


@on_each_broker
def test_a_task_that_is_delivered_again_goes_on_as_another_run(system):
    one = kill_what_is_delivered_again(system)
    eventually(lambda: len(runs_of(system, one)) >= 2, 60, what="the other run to be shown")
    # Until then it may have been given up as lost, more than once where workers are slow, and be
    # at rest.
    eventually(lambda: {end.kind for end in last_of(system, one)} == {"completed"}, 60)
    check_nothing_is_lost(system.come_to_rest([one]))
    last = last_of(system, one)
    assert {(end.kind, end.event_id) for end in last} == {("completed", last[0].event_id)}


def kill_what_is_delivered_again(system):
    """Kill all workers during a task that begins again by its message; the operation's id.

    On a busy machine it may have ended before the last of them is dead; and Celery loses a message
    with the worker that is just taking it from Redis. Then there is none to be delivered again.
    """
    for _ in range(3):
        # Shorter than the visibility timeout, so that it is delivered again once and not for ever.
        one = kill_all_workers_during(system, "again", lines=8, pause=0.2)
        if whenever(lambda one=one: len(begun(system.tail.log.events[one])) >= 2, 40):
            return one
        check_nothing_is_lost(system.come_to_rest([one]))
    raise AssertionError("none of them was delivered again")


def last_of(system, operation_id):
    """What each client was shown last."""
    return [transcript.frames(operation_id)[-1] for transcript in system.audience.transcripts]


def runs_of(system, operation_id):
    """The runs that have started, as everyone was shown who watches."""
    return begun(frames_of(system, operation_id))


def begun(said):
    """The runs that have started, by what is said of them."""
    return {one.run for one in list(said) if (one.kind, one.text) == ("status", "started")}


class Accounts:
    """What everybody has counted so far: each sidecar, the oracle's eye on the log, the clients."""

    def __init__(self, system):
        self.sidecars = [scrape(sidecar) for sidecar in system.sidecars]
        log = system.tail.log
        self.log = Counter(log.counts)
        said = [one for events in list(log.events.values()) for one in list(events)]
        self.said = Counter(one.kind for one in said if one.kind != ALIVE)
        transcripts = system.audience.transcripts
        self.unrecovered = sum(one.counts["unrecovered"] for one in transcripts)


def last_end(system, operation_id):
    """How an operation ended, as its log says: a run that was given up may have gone on."""
    events = list(system.tail.log.events[operation_id])
    return [one.kind for one in events if one.is_end][-1]


def scrape(sidecar):
    """The samples of a sidecar, by name and by the value of their only label."""
    with urllib.request.urlopen(f"{sidecar.http}/metrics", timeout=60) as response:
        families = text_string_to_metric_families(response.read().decode())
    samples = Counter()
    for family in families:
        for sample in family.samples:
            name = sample.name.removeprefix("celery_wsprogress_")
            samples[(name, *sample.labels.values())] = sample.value
    return samples


def grown(after, before, name):
    """How much the samples of a metric have grown, by their label."""
    grew = {key[1]: after[key] - before[key] for key in after if key[0] == name}
    return Counter({label: number for label, number in grew.items() if number})


@on_redis
def test_the_figures_of_the_sidecars_are_those_of_the_oracle(system):
    """All clients come back at once, and a worker dies; no sidecar does."""

    def happen(system, chance):
        scatter(system, chance)
        kill_worker(system, chance)

    system.wait_until_whole()
    eventually(lambda: system.tail.quiet_for > 1.0)
    before, earlier = Accounts(system), set(system.sent_at)
    check_nothing_is_lost(go_through(system, Fault("both", happen), random.Random(1)))
    ids = [one for one in system.sent_at if one not in earlier]
    eventually(lambda: system.tail.quiet_for > 1.0)

    shown = {one.event_id: one.kind for operation in ids for one in frames_of(system, operation)}
    ends = Counter(last_end(system, one) for one in ids)

    def check_sidecar(figures, first):
        # Events in, as the log has them; and out, as all clients together were shown them.
        assert grown(figures, first, "events_total") == after.said - before.said
        told = grown(figures, first, "told_total")
        expected = Counter(shown.values())
        for kind in ("status", "log", "result", *WORDS_OF_THE_END):
            assert told[kind] == expected[kind], kind
        for name, counted in (("gaps_total", "gaps"), ("repeats_total", "repeats")):
            assert figures[(name,)] - first[(name,)] == after.log[counted] - before.log[counted]
        held = {
            state: figures["operations_in_state", state] - first["operations_in_state", state]
            for state in ("completed", "error", "running", "queued", "received", "retrying")
        }
        assert {state: number for state, number in held.items() if number} == ends

    after = Accounts(system)
    for figures, first in zip(after.sidecars, before.sidecars, strict=True):
        check_sidecar(figures, first)
    pairs = list(zip(after.sidecars, before.sidecars, strict=True))
    resumes = sum((grown(*pair, "resumes_total") for pair in pairs), Counter())
    # A client may have lost its connection again before it was told.
    assert resumes["yes"] > 0
    assert resumes["no"] >= after.unrecovered - before.unrecovered


@on_redis
def test_a_thousand_clients_come_back_at_once(system):
    ids = crowd(system, MANY)
    findings = system.come_to_rest(ids)
    check_nothing_is_lost(findings)
    many = [one for one in system.audience.transcripts if one.name.startswith("one of many")]
    assert len(many) == MANY
    assert all(one.counts["connections"] >= 2 for one in many)


@on_each_broker
def test_a_broker_that_comes_back_without_its_data(system):
    """What the log held is gone. Nobody sees anything twice, or an end that is none; what is said
    from then on is delivered, and what ended for someone has ended."""
    system.wait_until_whole()
    before, during, after = (system.plan(4) for _ in range(3))
    ids = [*before, *during, *after]
    system.audience.watch(ids)
    system.send(before, lines=2)
    eventually(lambda: all(map(system.is_settled, before)), what="the first to end")
    system.send(during, lines=40, pause=0.1)
    eventually(lambda: all(has_started(system, one) for one in during), what="the others to begin")
    system.broker.kill()
    system.broker.start(fresh=True)
    system.wait_until_whole()
    # Who comes back now asks for what follows an event of the log that is gone.
    scatter(system, random.Random())
    system.send(after, lines=2)
    findings = system.come_to_rest(ids)
    assert len(system.tail.log.epochs) == 2
    for law in ("duplicate", "order", "ends", "invented", "endless", "refused"):
        assert findings.counts[law] == 0, findings
    # What was asked for and said in the new log is whole.
    for watcher in system.audience.watchers:
        assert all(has_ended_for(watcher.transcript.entries[one]) for one in after)
    assert not [
        v for v in findings.violations if v.startswith("lost") and system.tail.log.epochs[1] in v
    ]
