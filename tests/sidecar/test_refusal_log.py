"""Who was refused, in the log, and that nobody fills it."""

from __future__ import annotations

import logging

import pytest

from celery_wsprogress.sidecar.refusal_log import (
    LINE_INTERVAL,
    LINES_AT_ONCE,
    RefusalLog,
    describe_client,
)


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def written(clock):
    return RefusalLog(clock)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


def test_each_refusal_is_a_line_of_its_level(written, caplog):
    caplog.set_level(logging.INFO)
    written.write("token", "one")
    written.write("address", "two", level=logging.WARNING)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("INFO", "one"),
        ("WARNING", "two"),
    ]


def test_who_is_refused_again_and_again_does_not_fill_the_log(written, clock, lines):
    for number in range(10_000):
        written.write("token", f"refused {number}")
    assert lines() == [f"refused {number}" for number in range(LINES_AT_ONCE)]
    # Another kind is not hidden by it.
    written.write("address", "another")
    assert lines()[LINES_AT_ONCE:] == ["another"]
    written.write_left_out()
    assert len(lines()) == LINES_AT_ONCE + 1
    clock.now += LINE_INTERVAL + 0.1
    left_out = 10_000 - LINES_AT_ONCE
    written.write("token", "refused once more")
    assert lines()[-1] == f"refused once more ({left_out} more lines like this were left out)"


def test_what_was_left_out_is_counted_also_if_nothing_follows(written, clock, lines):
    for number in range(LINES_AT_ONCE + 2):
        written.write("token", f"refused {number}")
    clock.now += LINE_INTERVAL + 0.1
    for _ in range(3):
        written.write_left_out()
    assert lines()[LINES_AT_ONCE:] == [
        f"refused {LINES_AT_ONCE + 1} (1 more lines like this were left out)"
    ]


def test_an_hour_of_refusals_takes_some_hundred_lines(written, clock, lines):
    for _ in range(3_600):
        clock.now += 1.0
        for _ in range(10):
            written.write("token", "refused")
    assert LINES_AT_ONCE < len(lines()) <= LINES_AT_ONCE + 3_600 / LINE_INTERVAL + 1


def test_a_line_is_one_line_and_not_long(written, lines):
    written.write("token", "a\n2026-01-01 CRITICAL \x1b[31mforged" + "x" * 10_000)
    [line] = lines()
    assert line.isprintable()
    assert len(line) <= 600


def test_a_client_is_told_by_address_and_holder():
    assert describe_client("192.0.2.7") == "192.0.2.7"
    assert describe_client("") == "an unknown address"
    assert describe_client("::1", frozenset({"anna"})) == "::1 (sub anna)"
    assert describe_client("::1", frozenset({"eva", "anna", "x"})) == "::1 (sub anna and 2 more)"
    shown = describe_client("::1", frozenset({"\n\x1b[31m" + "x" * 255}))
    assert shown.isprintable()
    assert len(shown) < 150
