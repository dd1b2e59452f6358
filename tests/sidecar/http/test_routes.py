from __future__ import annotations

import json
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import process
from support.sample_events import completed, queued, status
from support.tokens import KEY, NOW, token, verifier

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.protocol import batches
from celery_wsprogress.sidecar.http.routes import (
    JSON,
    PROMETHEUS,
    TEXT,
    RequestContext,
    needs_all_processes,
    route,
)
from celery_wsprogress.sidecar.metrics.definitions import STATS, readiness

REPORT = {**dict.fromkeys(STATS, 0), "connected_clients": 3, "gaps_total": 2, "processes": 1}
STATE = {"broker_connected": True, "rebuilt": True, "replayable": False, "stopping": False}


@pytest.fixture(scope="module")
def hub():
    hub = Hub()
    events = (
        queued(operation_id="a/b c", operation_type="proj.add"),
        status("started", operation_id="a/b c", metadata={}),
        completed(operation_id="done"),
    )
    process(hub, batches.Batch("w", 1, events), epoch="e", position="1", now=NOW)
    return hub


@pytest.fixture(scope="module")
def get(hub):
    """Ask for a path; its status and its body, decoded where it is JSON."""

    def get(target, held=None, *, key=None, exact_only=False, ready=True):
        permit = Permit(key and verifier(key), exact_only=exact_only)
        if held is not None:
            permit.add(held, timestamp=NOW)
        context = RequestContext(
            hub=hub,
            permit=permit,
            timestamp=NOW,
            report=lambda: {**REPORT, **STATE, "ready": ready},
        )
        answer = take_all(route(target, context))
        if answer.content_type == JSON:
            return answer.status, json.loads(answer.body)
        assert answer.content_type == (PROMETHEUS if target == "/metrics" else TEXT)
        return answer.status, answer.body.decode()

    return get


def test_health(get):
    assert get("/healthz") == (HTTPStatus.OK, "ok\n")


@pytest.mark.parametrize(
    ("ready", "status"), [(True, HTTPStatus.OK), (False, HTTPStatus.SERVICE_UNAVAILABLE)]
)
def test_readiness(get, ready, status):
    assert get("/readyz", ready=ready) == (
        status,
        {"ready": ready, **STATE, "gaps": 2, "processes": 1},
    )


@pytest.mark.parametrize(
    ("state", "reasons"),
    [
        ({}, None),
        ({"broker_connected": False}, ["It has not reached its broker"]),
        (
            {"broker_connected": False, 'broker_error{text="OOM \\"full\\""}': 1},
            ['Its broker is away: OOM "full"'],
        ),
        ({"rebuilt": False}, ["It has not read the log yet"]),
        (
            {"rebuilt": False, "stopping": True},
            ["It is stopping", "It has not read the log yet"],
        ),
    ],
)
def test_why_it_is_not_ready(state, reasons):
    report = {**REPORT, **STATE, "ready": not state, **state}
    assert readiness(report).get("reasons") == reasons


def test_status(get):
    stats = {name: REPORT[name] for name in STATS}
    expected = {"available": True, "running": True, "stats": stats}
    assert get("/status") == (HTTPStatus.OK, expected)


def test_metrics(get):
    status, text = get("/metrics")
    assert status == HTTPStatus.OK
    assert "\ncelery_wsprogress_connected_clients 3\n" in text


@pytest.mark.parametrize("path", ["/readyz", "/status", "/metrics"])
def test_what_is_asked_of_all_processes(path):
    assert needs_all_processes(path)
    assert needs_all_processes(f"{path}?x")
    assert not needs_all_processes(f"/healthz?{path}")


def test_operations(get):
    status, body = get("/operations")
    assert status == HTTPStatus.OK
    assert [one["operation_id"] for one in body["operations"]] == ["done", "a/b c"]
    assert body["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("cursor=2", ["a/b c"]),
        ("cursor=1", []),
        ("cursor=", ["done", "a/b c"]),
        ("", ["done", "a/b c"]),
        ("limit=1", ["done"]),
        ("operation_type=proj.*&state=completed", []),
        ("operation_type=proj.*", ["a/b c"]),
        ("tag=none", []),
    ],
)
def test_a_page_of_operations(get, query, found):
    status, body = get(f"/operations?{query}")
    assert status == HTTPStatus.OK
    assert [one["operation_id"] for one in body["operations"]] == found


@pytest.mark.parametrize(
    "query",
    [
        "cursor=nonsense",
        f"cursor={'9' * 30}",
        "cursor=%ff&cursor=[",
        "limit=0",
        f"limit={'9' * 5_000}",
        "state=x",
    ],
)
def test_a_filter_that_is_none_is_answered_with_a_sentence(get, query):
    status, body = get(f"/operations?{query}")
    assert status == HTTPStatus.BAD_REQUEST
    assert body["code"] == "invalid_command"


@pytest.mark.parametrize("path", ["/operations/a/b c", "/operations/a%2Fb%20c?x=1"])
def test_an_operation(get, path):
    status, body = get(path)
    assert status == HTTPStatus.OK
    assert body["operation"]["operation_id"] == "a/b c"
    assert body["operation"]["operation_type"] == "proj.add"


def test_an_operation_nobody_has_heard_of(get):
    assert get("/operations/unheard") == (HTTPStatus.NOT_FOUND, {"operation": None})


@pytest.mark.parametrize(
    "target",
    ["/nothing", "", "*", "//", "//[", "http://[", "/operations/", "/status/", "/?/status",
     "x/operations/done", "/STATUS", "/\x00"],
)  # fmt: skip
def test_other_paths_have_nothing(get, target):
    status, body = get(target)
    assert (status, body["code"]) == (HTTPStatus.NOT_FOUND, "not_found")


@given(target=st.text(max_size=30), key=st.booleans())
def test_any_request_is_answered(get, target, key):
    status, _ = get(f"/{target}", key=KEY if key else None)
    assert status < HTTPStatus.INTERNAL_SERVER_ERROR


# With a key.


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_open_to_everyone(get, path):
    assert get(path, key=KEY)[0] == HTTPStatus.OK


@pytest.mark.parametrize(
    "path", ["/status", "/metrics", "/operations", "/operations/done", "/operations/x"]
)
def test_the_rest_is_not_without_a_token(get, path):
    status, body = get(path, key=KEY)
    assert (status, body["code"]) == (HTTPStatus.UNAUTHORIZED, "unauthorized")


@pytest.mark.parametrize(
    ("path", "ids", "status"),
    [
        ("/status", ["other"], HTTPStatus.OK),
        ("/metrics", ["other"], HTTPStatus.OK),
        ("/operations/done", ["done"], HTTPStatus.OK),
        ("/operations/done", ["other"], HTTPStatus.FORBIDDEN),
        ("/operations/unheard", ["other"], HTTPStatus.FORBIDDEN),
        ("/operations", ["done"], HTTPStatus.FORBIDDEN),
        ("/operations", ["*"], HTTPStatus.OK),
        ("/operations/done", ["*"], HTTPStatus.OK),
        ("/nothing", ["*"], HTTPStatus.NOT_FOUND),
    ],
)
def test_a_token_grants_what_it_grants_to_commands(get, path, ids, status):
    assert get(path, token(*ids), key=KEY)[0] == status


@pytest.mark.parametrize(
    ("claims", "path", "status"),
    [
        ({"ops": ["type:proj.*"]}, "/operations?operation_type=proj.add", HTTPStatus.OK),
        ({"ops": ["type:proj.*"]}, "/operations?operation_type=*", HTTPStatus.FORBIDDEN),
        ({"ops": ["type:proj.*"]}, "/operations?tag=", HTTPStatus.FORBIDDEN),
        ({"ops": ["type:proj.*"]}, "/operations/a%2Fb%20c", HTTPStatus.OK),
        ({"ops": ["type:proj.*"]}, "/operations/done", HTTPStatus.FORBIDDEN),
        ({"ops": ["*"], "can": ["watch"]}, "/operations", HTTPStatus.FORBIDDEN),
        ({"ops": ["*"], "can": ["watch"]}, "/status", HTTPStatus.FORBIDDEN),
        ({"ops": ["*"], "can": ["list"]}, "/operations/done", HTTPStatus.FORBIDDEN),
        ({"ops": [], "can": ["stats"]}, "/metrics", HTTPStatus.OK),
    ],
)
def test_a_token_grants_what_its_claims_say(get, claims, path, status):
    assert get(path, token(**claims), key=KEY)[0] == status


def test_a_page_exact_only_may_not_list(get):
    assert get("/operations", exact_only=True)[0] == HTTPStatus.FORBIDDEN
    assert get("/operations/done", exact_only=True)[0] == HTTPStatus.OK
    assert get("/status", exact_only=True)[0] == HTTPStatus.OK
    assert get("/metrics", exact_only=True)[0] == HTTPStatus.OK
