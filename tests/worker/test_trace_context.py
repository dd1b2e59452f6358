"""The trace of a run: of the current span, or of the message."""

from __future__ import annotations

import sys

import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider

from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.trace_context import with_trace

HEADER = f"00-{7:032x}-{9:016x}-01"
RUN = RunInfo("op-1", "t", "r", metadata={"order": 7})


def trace_of(request):
    return with_trace(RUN, request).metadata.get("traceparent")


@pytest.fixture
def span():
    with TracerProvider().get_tracer("tests").start_as_current_span("task") as span:
        yield span


def test_it_is_that_of_the_current_span(span):
    expected = {}
    propagate.inject(expected)
    assert with_trace(RUN, {"traceparent": HEADER}).metadata == {"order": 7, **expected}
    assert RUN.metadata == {"order": 7}


def test_without_a_span_it_is_that_of_the_message():
    class Context:
        def __init__(self):
            self.traceparent = HEADER

    assert trace_of({"traceparent": HEADER}) == HEADER
    assert trace_of(Context()) == HEADER


def test_it_does_without_the_library(span, monkeypatch):
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert trace_of({"traceparent": HEADER}) == HEADER
    assert with_trace(RUN, {}) is RUN


def test_a_library_that_fails_harms_no_task(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", object())
    assert trace_of({"traceparent": HEADER}) == HEADER
    assert "the trace is not known" in caplog.text


@pytest.mark.parametrize(
    "header",
    [
        None, 7, b"00", "", "x" * 1_000, HEADER + "\n", HEADER + "-01", HEADER.replace("7", "G"),
        f"00-{0:032x}-{9:016x}-01", f"00-{7:032x}-{0:016x}-01", f"ff-{7:032x}-{9:016x}-01",
    ],
)  # fmt: skip
def test_what_is_none_is_left_out(header):
    assert with_trace(RUN, {"traceparent": header}) is RUN
