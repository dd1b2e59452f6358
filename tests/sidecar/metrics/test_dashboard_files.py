"""The dashboard for Grafana and the alerts for Prometheus ask for what a sidecar really says."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from support.conditions import eventually
from support.promql import PromQLError, Scrapes, evaluate
from support.sample_events import completed, progress, queued, status
from support.sidecars import SidecarThread
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.protocol import batches
from celery_wsprogress.sidecar.metrics.definitions import METRICS

FILES = Path(__file__).parents[3] / "docs" / "figures"
JOB = "celery-wsprogress"

#: What a sidecar says only of trouble, or of several processes.
ELSEWHERE = {"celery_wsprogress_broker_error", "celery_wsprogress_restarts_total"}


def panels():
    dashboard = json.loads((FILES / "grafana.json").read_text())
    return {one["title"]: one["targets"] for one in dashboard["panels"] if one["type"] != "row"}


def rules():
    [group] = yaml.safe_load((FILES / "alerts.yml").read_text())["groups"]
    return {one["alert"]: one for one in group["rules"]}


#: As Grafana fills in what is chosen.
DASHBOARD = {
    f"{title}: {target['legendFormat']}": target["expr"]
    .replace("$__rate_interval", "1m")
    .replace("$job", JOB)
    for title, targets in panels().items()
    for target in targets
}
ALERTS = {name: rule["expr"] for name, rule in rules().items()}


class Life:
    """A sidecar that has had some of everything, each time."""

    def __init__(self, served, writer):
        self.served = served
        self._writer = writer
        self._times = self._batches = 0

    def write(self, *events):
        self._batches += 1
        encoded = [batches.encode_event(event) for event in events]
        self._writer.publish(batches.join_batch("w", self._batches, encoded), confirm=True)

    def live(self):
        self._times += 1
        name, lost, now = f"op-{self._times}", f"lost-{self._times}", time.time()
        with connect(self.served.url) as watcher, connect(self.served.url) as closing:
            for command in (
                {"command": "subscribe", "operation_id": name, "since": "e.1.0"},
                {"command": "subscribe", "operation_id": lost, "since": "nonsense"},
                {"command": "no such"},
            ):
                watcher.send(json.dumps(command))
                while json.loads(watcher.recv(timeout=60))["event_type"] != "reply":
                    pass
            with suppress(InvalidStatus), connect(self.served.url):
                pytest.fail("That is one connection too many")
            self.write(
                queued(operation_id=name, at=now, operation_type="t", metadata={}),
                status("started", operation_id=name, at=now, metadata={}),
                *[progress(number / 10, operation_id=name, at=now) for number in range(5)],
                completed(operation_id=name, at=now),
            )
            while json.loads(watcher.recv(timeout=60))["event_type"] != "completed":
                pass
            closing.close(4008)
        self.write(queued(operation_id=lost, at=now, operation_type="t", metadata={}))
        request = urllib.request.Request(self.served.http, headers={"Host": "elsewhere.example"})
        with suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=60):
            pytest.fail("That host name is not served")
        eventually(lambda: f'closed_total{{code="4008"}} {self._times}\n' in self.scrape())
        eventually(lambda: self.served.sidecar.hub.get(lost))

    def scrape(self):
        with urllib.request.urlopen(f"{self.served.http}/metrics", timeout=60) as response:
            return response.read().decode()


@pytest.fixture(scope="module")
def scrapes(redis_server):
    redis_server.clear()
    address = BrokerAddress(redis_server.url)
    writer = open_writer(address)
    try:
        with SidecarThread(address, max_connections=2) as served:
            life = Life(served, writer)
            life.live()
            earlier = life.scrape()
            life.live()
            yield Scrapes(earlier, life.scrape(), job=JOB, instance="localhost:8765")
    finally:
        writer.close()


@pytest.mark.parametrize("query", DASHBOARD.values(), ids=DASHBOARD)
def test_each_panel_shows_something(scrapes, query):
    assert evaluate(query, scrapes)


@pytest.mark.parametrize("query", ALERTS.values(), ids=ALERTS)
def test_each_alert_looks_at_something(scrapes, query):
    assert evaluate(query, scrapes)


def test_the_figures_are_those_of_what_happened(scrapes):
    def value(query):
        [found] = evaluate(query, scrapes).values()
        return found

    assert value('increase(celery_wsprogress_events_total{type="completed"}[1m])') == 1
    assert value('celery_wsprogress_ended_total{state="completed"}') == 2
    assert value('sum (celery_wsprogress_resumes_total{recovered="no"})') == 4
    assert value('rate(celery_wsprogress_refused_connections_total{limit="host"}[1m])') == 0.1
    assert value("celery_wsprogress_ready") == 1
    assert value("max (celery_wsprogress_ready) / 2") == 0.5


@pytest.mark.parametrize(
    "query",
    [
        "celery_wsprogress_no_such",
        'celery_wsprogress_ready{code="1"}',
        "sum by (code) (celery_wsprogress_ready)",
        'celery_wsprogress_closed_total{code="1"}',
        "rate(celery_wsprogress_gaps_total)",
        "sum (celery_wsprogress_ready",
        "celery_wsprogress_ready ready",
        "celery_wsprogress_closed_total / celery_wsprogress_ready",
        "&",
    ],
)
def test_a_query_that_would_find_nothing_is_an_error(scrapes, query):
    with pytest.raises(PromQLError):
        evaluate(query, scrapes)


def test_all_that_a_sidecar_says_has_a_place_on_the_dashboard():
    named = set(re.findall(r"\w+", " ".join(DASHBOARD.values())))
    asked = {re.sub("_bucket$", "", one) for one in named}
    others = {
        "build_info", "replayable", "rebuilt", "stopping", "delivered_total", "operations_total",
        "held_operations", "lookups_refused_total",
    }  # fmt: skip
    expected = {one.title for one in METRICS} - ELSEWHERE
    assert expected - asked == {f"celery_wsprogress_{one}" for one in others}


def test_each_alert_says_what_is_wrong_and_what_to_do():
    for rule in rules().values():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}
