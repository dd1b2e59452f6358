from __future__ import annotations

from http import HTTPStatus

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from celery_wsprogress.sidecar.http.event_requests import (
    NOTHING_SEEN,
    as_events,
    path_of_operation,
    subscription,
    watched_in,
)
from celery_wsprogress.sidecar.http.routes import HTTPAnswer, service_unavailable


def request(path, method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(path, Headers(named), method=method)


@pytest.mark.parametrize(
    ("path", "operation_id"),
    [
        ("/operations/a/events", "a"),
        ("/operations/a/events?x=1", "a"),
        ("/operations/a%2Fb%20c/events", "a/b c"),
        ("/operations/a/events/events", "a/events"),
        ("/operations/a", None),
        ("/operations//events", None),
        ("/operations/*/events", None),
        ("/operations/%2A/events", None),
        ("/x/operations/a/events", None),
    ],
)
def test_the_operation_stands_in_the_path(path, operation_id):
    assert watched_in(request(path)) == operation_id
    assert watched_in(request(path, "HEAD")) == operation_id
    assert watched_in(request(path, "OPTIONS")) is None


def test_the_operation_is_asked_for_as_it_is_written():
    assert path_of_operation(request("/operations/a%20b/events?x=1")) == "/operations/a%20b"


def test_a_client_goes_on_behind_the_last_event_that_it_has_seen():
    path = "/operations/a/events"
    assert subscription(request(path), "a")["since"] == NOTHING_SEEN
    assert subscription(request(path, Last_Event_ID="e.1-1.0"), "a")["since"] == "e.1-1.0"


def test_an_event_source_is_told_to_come_back_and_others_that_it_is_busy():
    busy, path = service_unavailable("Stopping"), "/operations/a/events"
    assert as_events(busy, request(path, Accept="*/*")) is busy
    told = as_events(busy, request(path, Accept="text/event-stream"))
    assert told.status is HTTPStatus.OK
    comment, retry, nothing = told.body.decode().split("\n", 2)
    assert (comment, nothing) == (": Stopping", "\n")
    assert 4_000 <= int(retry.removeprefix("retry: ")) <= 6_000
    refused = HTTPAnswer(HTTPStatus.FORBIDDEN, b"")
    assert as_events(refused, request(path, Accept="text/event-stream")) is refused
