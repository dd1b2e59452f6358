"""The metrics of a sidecar: their names and kinds, how reports are merged, and the Prometheus text.

A report maps the names of samples to numbers. A metric has one name everywhere: ``gaps_total`` of
``get_stats`` is ``celery_wsprogress_gaps_total`` of ``/metrics``. A sample with labels stands in a
report as ``events_by_type{type="log"}``.

Every process of a sidecar reads the whole log and holds every operation, but has clients of its
own. So counts about clients are summed, and of those about the log the largest counts.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

PREFIX: Final = "celery_wsprogress_"

Samples: TypeAlias = Mapping[str, float]
"""A report: numbers by the names of their samples. Integers stay integers."""

Merge: TypeAlias = Callable[[Iterable[float]], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """The definition of one metric."""

    name: str
    """Its name in ``/metrics``, without the prefix; names of Prometheus itself have none."""
    kind: Literal["counter", "gauge", "histogram"]
    merge: Merge
    """Makes one number of those of several processes."""
    help: str
    """Its description: the text behind ``# HELP``."""
    sample: str = ""
    """The name of its samples in a report, if that differs from :attr:`name`."""

    @property
    def title(self) -> str:
        """The full name in ``/metrics``."""
        return self.name if self.name.startswith("process_") else PREFIX + self.name


METRICS: Final = (
    Metric("build_info", "gauge", max, "The version, as a label; always 1."),
    Metric("processes", "gauge", sum, "Processes of this sidecar that serve."),
    Metric("restarts_total", "counter", sum, "Processes that ended and were replaced."),
    # Of the broker.
    Metric("broker_connected", "gauge", min, "1 while the broker is connected, in every process."),
    Metric("broker_error", "gauge", max, "Why the broker cannot be read, as a label."),
    Metric("broker_lost_total", "counter", sum, "Times the broker could not be reached."),
    Metric("rebuilt", "gauge", min, "1 once the retained log has been read, in every process."),
    Metric("replayable", "gauge", min, "1 where the log can be read again."),
    Metric("ready", "gauge", min, "What /readyz says."),
    Metric("stopping", "gauge", max, "1 while clients are sent away."),
    # Of the log.
    Metric("events_total", "counter", max, "Events read, by their type.", "events_by_type"),
    Metric("told_total", "counter", max,
           "Events for whoever watches, by their type: those of workflows, too.", "told_by_type"),
    Metric("conflated_total", "counter", max, "Progress that a newer one replaced for everybody."),
    Metric("read_bytes_total", "counter", max, "Bytes of the log that were read."),
    Metric("read_lag_seconds", "histogram", sum,
           "From when the broker took a batch until it was processed: the last of each read."),
    Metric("delivered_total", "counter", max, "Events that were news to whoever watches."),
    Metric("behind_total", "counter", max, "Statuses that came after what they led to."),
    Metric("over_total", "counter", max, "Events of runs that were over."),
    Metric("resumed_total", "counter", max, "Runs that spoke after they were given up."),
    Metric("malformed_total", "counter", max, "Events and batches that could not be read."),
    Metric("repeats_total", "counter", max, "Batches that were in the log twice."),
    Metric("gaps_total", "counter", max, "Times batches were missing in the log."),
    # Of the operations.
    Metric("operations_total", "counter", max, "Operations heard of.", "total_operations"),
    Metric("active_operations", "gauge", max, "Operations held that have not ended."),
    Metric("held_operations", "gauge", max, "Operations held."),
    Metric("operations_in_state", "gauge", max, "Those, by state.", "held_by_state"),
    Metric("ended_total", "counter", max, "Operations that ended, by state.", "ended_by_state"),
    Metric("history_bytes", "gauge", sum, "Memory of the operations in all processes."),
    # Of the clients.
    Metric("connected_clients", "gauge", sum, "Connections that are open."),
    Metric("connections_total", "counter", sum, "Connections that were opened."),
    Metric("closed_total", "counter", sum, "Connections that are gone, by close code.",
           "closed_by_code"),
    Metric("refused_connections_total", "counter", sum,
           "Connections that were refused, by the limit.", "refused_by_limit"),
    Metric("commands_total", "counter", sum, "Commands that were answered.", "commands_by_name"),
    Metric("command_seconds_total", "counter", sum,
           "Time that they took of the event loop.", "command_seconds"),
    Metric("refused_commands_total", "counter", sum,
           "Commands that were answered with an error, by its code.", "refused_by_code"),
    Metric("delayed_inputs_total", "counter", sum,
           "Times that a client or an address had used up its share of the processor."),
    Metric("resumes_total", "counter", sum,
           "Operations subscribed to with `since`, by whether all that was missed followed.",
           "resumes"),
    Metric("snapshots_total", "counter", sum,
           "Snapshots that clients got for events that were dropped: they are too slow."),
    Metric("subscriptions", "gauge", sum, "Operations and selectors that clients watch."),
    Metric("lookups_refused_total", "counter", sum,
           "Unknown operations that were not looked up, since too many waited."),
    Metric("deliveries_total", "counter", sum,
           "Deliveries: what is new of an operation, once for each client."),
    Metric("sent_writes_total", "counter", sum, "Writes to clients, of one frame or of many."),
    Metric("sent_bytes_total", "counter", sum, "Bytes of them."),
    Metric("delivery_delay_seconds", "histogram", sum,
           "From an event's own time to the write to the last of its watchers."),
    # Of the machine.
    Metric("loop_lag_seconds", "histogram", sum,
           "By how much a timer of the event loop was late, twice a second."),
    Metric("process_cpu_seconds_total", "counter", sum, "User and system time."),
    Metric("process_resident_memory_bytes", "gauge", sum, "Resident memory."),
    Metric("process_open_fds", "gauge", sum, "Descriptors that are open."),
    Metric("process_max_fds", "gauge", sum, "How many may be."),
)  # fmt: skip
"""In the order in which they are shown."""

STATS: Final = (
    "connected_clients", "active_operations", "total_operations", "subscriptions",
    "held_operations", "history_bytes", "events_total", "delivered_total", "behind_total",
    "over_total", "resumed_total", "malformed_total", "repeats_total", "gaps_total", "processes",
    "lookups_refused_total",
)  # fmt: skip
"""The names that ``get_stats`` returns."""

_MERGES: Final[Mapping[str, Merge]] = {
    "events_total": max,
    **{one.sample or one.name: one.merge for one in METRICS},
}


def merge(reports: Iterable[Samples]) -> dict[str, float]:
    """Merge the reports of several processes into one."""
    values: dict[str, list[float]] = {}
    for report in reports:
        for key, value in report.items():
            values.setdefault(key, []).append(value)
    # During an upgrade another process may report metrics that this version does not know.
    return {
        key: _MERGES[_name(key)](found) for key, found in values.items() if _name(key) in _MERGES
    }


def cumulative(report: Samples) -> dict[str, float]:
    """Return the samples that outlive their process: a counter must never decrease."""
    return {key: value for key, value in report.items() if _name(key) in _CUMULATIVE}


def stats(report: Samples) -> dict[str, int]:
    """Return what ``get_stats`` answers: integers by name."""
    return {name: int(report[name]) for name in STATS}


def readiness(report: Samples) -> dict[str, Any]:
    """Return whether the sidecar is ready and what that depends on: the body of ``/readyz``."""
    words = ("ready", "broker_connected", "rebuilt", "replayable", "stopping")
    numbers = ("gaps_total", "processes")
    error, reasons = broker_error(report), _reasons(report)
    return {
        **{name: bool(report[name]) for name in words},
        **{name.removesuffix("_total"): report[name] for name in numbers},
        **({"broker_error": error} if error else {}),
        **({"reasons": reasons} if reasons else {}),
    }


def _reasons(report: Samples) -> list[str]:
    """Return why the sidecar is not ready, as sentences; none if it is."""
    found = ["It is stopping"] if report["stopping"] else []
    if not report["broker_connected"]:
        error = broker_error(report)
        found.append(f"Its broker is away: {error}" if error else "It has not reached its broker")
    elif not report["rebuilt"]:
        found.append("It has not read the log yet")
    return found


def broker_error(report: Samples) -> str:
    """Return why the broker cannot be read; ``""`` if it can."""
    for one in report:
        if _name(one) == "broker_error":
            text = one.partition('text="')[2][:-2]
            return text.replace(r"\"", '"').replace(r"\\", "\\")
    return ""


def labelled(name: str, **labels: str) -> str:
    """Return the name of a sample with labels, as it stands in a report."""
    pairs = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
    return f"{name}{{{pairs}}}"


def to_prometheus(report: Samples) -> str:
    """Return the report in Prometheus's text format, version 0.0.4."""
    by_name: dict[str, list[str]] = {}
    for one in report:
        by_name.setdefault(_name(one), []).append(one)
    lines: list[str] = []
    for metric in METRICS:
        keys = by_name.get(metric.sample or metric.name)
        if keys:
            lines += _lines(metric, keys, report)
    return "\n".join(lines) + "\n"


def _lines(metric: Metric, keys: list[str], report: Samples) -> list[str]:
    title, name = metric.title, metric.sample or metric.name
    samples = [f"{title}{one.removeprefix(name)} {report[one]!r}" for one in keys]
    return [f"# HELP {title} {metric.help}", f"# TYPE {title} {metric.kind}", *samples]


def _name(one: str) -> str:
    """Return the metric of a sample: its name without labels and without a histogram's suffix."""
    name = one.partition("{")[0]
    for part in ("_bucket", "_sum", "_count"):
        whole = name.removesuffix(part)
        if whole in _HISTOGRAMS:
            return whole
    return name


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


_HISTOGRAMS: Final = frozenset(one.name for one in METRICS if one.kind == "histogram")
_CUMULATIVE: Final = frozenset(
    {"events_total", *(one.sample or one.name for one in METRICS if one.kind != "gauge")}
)
