from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from support import deliveries
from support.sample_events import completed, error, log, progress, queued, status

from celery_wsprogress import __version__
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.commands import Executed
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.protocol import batches
from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus
from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
from celery_wsprogress.sidecar.limits.admission import ConnectionLimits
from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
from celery_wsprogress.sidecar.metrics.definitions import (
    METRICS,
    STATS,
    cumulative,
    labelled,
    merge,
    readiness,
    stats,
    to_prometheus,
)
from celery_wsprogress.sidecar.metrics.latency import (
    BOUNDS,
    MAX_LATENCY,
    Latencies,
    LatencyHistogram,
)

NAMES = [one.sample or one.name for one in METRICS if one.kind != "histogram"]
COUNTERS = [one.sample or one.name for one in METRICS if one.kind == "counter"]
REPORTS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 10**12))

LIFE = (
    queued(at=1.0, operation_type="t", metadata={}),
    status("started", at=2.0, metadata={}),
    progress(0.5, at=3.0),
    log("half", at=3.0),
    completed(at=4.0),
    log("late", at=5.0),
)


class Wrote:
    """What the accounts see of a connection."""

    def __init__(self, writes, size, code=1000, snapshots=0):
        self.writer = SimpleNamespace(sent_writes=writes, sent_bytes=size)
        self.first_close_code = code
        self.session = SimpleNamespace(snapshots=snapshots)


class Process:
    """The accounts of one process of a sidecar, with what they are made of."""

    def __init__(self):
        self.hub, self.broker, self.rebuilding = Hub(), BrokerStatus(), StartupReplay()
        self.connections, self.delays = {}, Latencies()
        self.limits = ClientLimits(ConnectionLimits(10, 10, 10))
        self.accounts = self.collector()

    def collector(self):
        return MetricsCollector(
            self.hub,
            self.broker,
            self.rebuilding,
            self.connections,
            self.delays,
            limits=self.limits,
        )

    def connect(self, *connections):
        """Open connections; the accounts have them by their sessions."""
        for number, one in enumerate(connections):
            self.connections[Session(number, Permit(None))] = one

    def read(self, *events, counter=1):
        batch = batches.Batch("w", counter, events)
        deliveries.process(self.hub, batch, epoch="e", position=str(counter), now=0.0)

    def report(self):
        return self.accounts.report()


def command(name):
    """A command that is answered in its second step."""
    yield
    return Executed(name, None)


@pytest.fixture
def process():
    return Process()


def families(report):
    """The metrics as Prometheus's own parser reads them: the samples of each by its labels."""
    return {
        family.name: {
            (sample.name, *sample.labels.items()): sample.value for sample in family.samples
        }
        for family in text_string_to_metric_families(to_prometheus(report))
    }


def values(found, name):
    """The samples of a metric by the value of its only label."""
    return {value: number for (_, (_, value)), number in found[f"celery_wsprogress_{name}"].items()}


def test_every_figure_of_a_process_is_a_metric_of_the_table(process):
    process.read(*LIFE)
    process.accounts.closed(Wrote(1, 1))
    process.limits.admission.refused["address"] += 1
    process.accounts.refused_commands["too_large"] += 1
    take_all(process.accounts.commands.measure(command("ping")))
    shown = text_string_to_metric_families(to_prometheus(process.report()))
    kinds = {family.name: (family.type, family.documentation) for family in shown}
    # The parser leaves the end out of a counter's name.
    expected = {
        one.title.removesuffix("_total"): (one.kind, one.help)
        for one in METRICS
        # The parent of several processes counts restarts; the broker is well here.
        if one.name not in {"restarts_total", "broker_error"}
    }
    assert kinds == expected


def test_what_was_read_is_counted_by_type_and_by_what_became_of_it(process):
    process.read(*LIFE)
    process.read(*LIFE)
    process.read(counter=4)
    found = families(process.report())
    assert found["celery_wsprogress_events"] == {
        ("celery_wsprogress_events_total", ("type", kind)): number
        for kind, number in {"status": 2, "progress": 1, "log": 2, "completed": 1}.items()
    }
    figures = process.report()
    assert [figures[name] for name in ("delivered_total", "over_total")] == [5, 1]
    assert [figures[name] for name in ("repeats_total", "gaps_total")] == [1, 1]
    assert stats(figures)["events_total"] == 6


def test_what_ended_how_and_what_is_held_is_counted_by_state(process):
    process.read(*LIFE, queued(operation_id="op-2", operation_type="t", metadata={}))
    process.read(error(operation_id="op-3"), counter=2)
    process.hub.store.expire(1e6)
    process.read(queued(operation_id="op-4", operation_type="t", metadata={}), counter=3)
    found = families(process.report())
    held = {"completed": 0, "error": 0, "running": 0, "queued": 1}
    assert values(found, "operations_in_state") == held
    assert values(found, "ended") == {"completed": 1, "error": 1}


def test_what_is_told_is_what_was_read_without_what_newer_progress_replaced(process):
    process.hub = Hub(progress_interval=1.0)
    process.accounts = process.collector()
    process.hub.subscriptions.subscribe(Session(1, Permit(None)), "op-1", replay=None, since=None)
    steps = [progress(number / 10, at=3.0) for number in range(9)]
    process.read(status("started", at=2.0, metadata={}), *steps, completed(at=4.0))
    report = process.report()
    assert report["conflated_total"] == 7
    assert values(families(report), "told") == {"status": 1, "progress": 2, "completed": 1}
    assert report["deliveries_total"] == 1


def test_a_command_is_counted_with_the_time_of_its_steps_and_only_by_a_name_there_is(process):
    for name in ("ping", "ping", ""):
        take_all(process.accounts.commands.measure(command(name)))
    # One that is never answered, since its client is gone.
    cut = process.accounts.commands.measure(command("get_stats"))
    next(cut)
    cut.close()
    found = families(process.report())
    assert values(found, "commands") == {"ping": 2, "other": 1}
    assert all(seconds > 0 for seconds in values(found, "command_seconds").values())


def test_what_connections_wrote_is_not_lost_when_they_close(process):
    closing = Wrote(2, 30, code=4008, snapshots=3)
    process.connect(closing, Wrote(5, 700))
    process.accounts.opened()
    process.accounts.opened()
    before = process.report()
    assert (before["sent_writes_total"], before["sent_bytes_total"]) == (7, 730)
    del process.connections[next(iter(process.connections))]
    process.accounts.closed(closing)
    after = process.report()
    assert (after["sent_writes_total"], after["sent_bytes_total"]) == (7, 730)
    assert (after["connected_clients"], after["connections_total"]) == (1, 2)
    assert after[labelled("closed_by_code", code="4008")] == 1
    assert after["snapshots_total"] == 3


def test_close_codes_that_clients_make_up_make_no_metrics(process):
    for code in range(3000, 5000):
        process.accounts.closed(Wrote(0, 0, code=code))
    closed = {one: n for one, n in process.report().items() if one.startswith("closed_by_code")}
    assert closed == {
        labelled("closed_by_code", code="4001"): 1,
        labelled("closed_by_code", code="4008"): 1,
        labelled("closed_by_code", code="other"): 1998,
    }


def test_readiness_is_what_it_depends_on(process):
    def ready():
        return readiness(process.report())["ready"]

    assert not ready()
    process.broker.connected = True
    assert not ready()
    process.rebuilding.complete()
    assert ready()
    process.accounts.stopping = True
    assert not ready()


def test_the_machine_is_asked_for_what_the_process_takes(process):
    report = process.report()
    assert report["process_cpu_seconds_total"] > 0
    assert 2 < report["process_open_fds"] < report["process_max_fds"]
    assert report["process_resident_memory_bytes"] > 1_000_000


# Several processes.


def test_each_has_its_own_clients_and_all_have_the_same_log():
    one, other = Process(), Process()
    for process in (one, other):
        process.read(*LIFE)
        process.broker.connected = True
    one.connect(Wrote(2, 30))
    other.connect(Wrote(1, 10), Wrote(1, 10))
    other.rebuilding.complete()
    together = merge([one.report(), other.report()])
    assert together["connected_clients"] == 3
    assert together["sent_bytes_total"] == 50
    assert together["processes"] == 2
    assert together["total_operations"] == 1
    assert together[labelled("events_by_type", type="log")] == 2
    assert together[labelled("build_info", version=__version__)] == 1
    assert together["history_bytes"] == 2 * one.report()["history_bytes"]
    # Ready is who can serve each client, whichever process it comes to.
    assert [together[name] for name in ("broker_connected", "rebuilt", "ready")] == [1, 0, 0]


@given(st.lists(REPORTS, min_size=1, max_size=5), st.randoms())
def test_it_does_not_matter_in_which_order_they_are_added(reports, chance):
    mixed = list(reports)
    chance.shuffle(mixed)
    assert merge(mixed) == merge(reports)
    assert merge([merge(reports[:1]), merge(reports[1:])]) == merge(reports)


@given(REPORTS, REPORTS, REPORTS)
def test_no_counter_goes_back_when_a_process_ends(ending, going_on, beginning):
    before = merge([ending, going_on])
    past = cumulative(ending)
    for after in (merge([past, going_on]), merge([past, going_on, beginning])):
        counted = [name for name in COUNTERS if name in before]
        assert [name for name in counted if after[name] < before[name]] == []


def test_a_figure_of_another_version_is_left_out():
    assert merge([{"gaps_total": 1, "of_tomorrow": 7}]) == {"gaps_total": 1}


@given(st.dictionaries(st.text(max_size=5), st.integers(0, 10**15), max_size=3))
def test_any_label_is_read_as_it_was_written(counts):
    report = {labelled("closed_by_code", code=code): number for code, number in counts.items()}
    read = families(report).get("celery_wsprogress_closed", {})
    expected = {
        ("celery_wsprogress_closed_total", ("code", code)): number
        for code, number in counts.items()
    }
    assert read == expected


def test_the_statistics_are_those_of_the_protocol_and_whole(process):
    process.read(*LIFE)
    found = stats(process.report())
    assert tuple(found) == STATS
    assert {type(value) for value in found.values()} == {int}
    assert set(process.hub.stats()) <= set(found)


# How long it took.


@given(st.lists(st.floats(-1e11, 1e11) | st.sampled_from(BOUNDS), max_size=20))
def test_every_delay_is_in_the_bucket_of_prometheus_whatever_the_clocks(delays):
    histogram = LatencyHistogram()
    for delay in delays:
        histogram.observe(delay)
    samples = families(histogram.samples())["celery_wsprogress_delivery_delay_seconds"]
    buckets = {
        float(dict(labels)["le"]): value
        for (name, *labels), value in samples.items()
        if name.endswith("_bucket")
    }
    counted = [min(max(one, 0.0), MAX_LATENCY) for one in delays]
    assert buckets == {bound: sum(one <= bound for one in counted) for bound in (*BOUNDS, math.inf)}
    total = samples[("celery_wsprogress_delivery_delay_seconds_sum",)]
    assert total == pytest.approx(sum(counted))
