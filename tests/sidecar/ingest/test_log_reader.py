from __future__ import annotations

import time

import pytest
from support.conditions import eventually
from support.sample_events import stalled

from celery_wsprogress.brokers import BrokerAddress, LogEntry
from celery_wsprogress.sidecar.ingest import log_reader
from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus, LogReaderThread
from celery_wsprogress.sidecar.liveness import log_appender
from celery_wsprogress.sidecar.liveness.log_appender import LogAppender

WRONG = "get_connection() missing 1 required positional argument: 'command_name'"


def call_wrongly(*_, **__):
    raise TypeError(WRONG)


def is_told(caplog):
    [record] = [one for one in caplog.records if one.levelname == "ERROR"]
    return "an error in a program" in record.getMessage() and record.exc_info[0] is TypeError


def test_an_error_in_a_program_is_no_outage_to_who_reads(monkeypatch, caplog):
    monkeypatch.setattr(log_reader, "open_reader", call_wrongly)
    reading = LogReaderThread(
        BrokerAddress("redis://nowhere/0"), lambda *_, **__: None, BrokerStatus()
    )
    reading.start()
    try:
        eventually(lambda: reading.status.reconnects > 2)
    finally:
        reading.stop()
    assert is_told(caplog)
    assert "away" not in caplog.text


class LateReader:
    """Reads a log whose broker delivers nothing at the first reads."""

    epoch, replayable = "e", True

    def __init__(self, empty, *entries, end):
        self._reads = [*[()] * empty, entries]
        self.end = end

    def read(self, position, *, wait):
        time.sleep(min(wait, 0.01))
        return self._reads.pop(0) if self._reads else ()

    def close(self):
        self._reads.clear()


def reads_of(monkeypatch, reader):
    """What is handed over, up to the point where the log counts as read."""
    monkeypatch.setattr(log_reader, "open_reader", lambda *_, **__: reader)
    found = []

    def deliver(_epoch, entries, *, caught_up):
        found.append("caught up" if caught_up else [entry.position for entry in entries])

    address = BrokerAddress("redis://nowhere/0")
    reading = LogReaderThread(address, deliver, BrokerStatus())
    reading.start()
    try:
        eventually(lambda: "caught up" in found)
    finally:
        reading.stop()
    return found


@pytest.mark.parametrize("empty", [0, 1, 3])
def test_a_log_is_read_when_its_end_has_come_however_late_that_is(monkeypatch, empty):
    reader = LateReader(empty, LogEntry("7", b"batch"), end="7")
    assert reads_of(monkeypatch, reader) == [["7"], "caught up"]


def test_a_log_whose_end_was_dropped_is_read_after_a_while(monkeypatch):
    monkeypatch.setattr(log_reader, "LOST_END_TIMEOUT", 0.1)
    reader = LateReader(0, LogEntry("5", b"batch"), end="7")
    assert reads_of(monkeypatch, reader) == [["5"], "caught up"]


def test_an_empty_log_is_read_at_once(monkeypatch):
    assert reads_of(monkeypatch, LateReader(3, end=""))[0] == "caught up"


def test_nor_to_who_writes(monkeypatch, caplog):
    monkeypatch.setattr(log_appender, "open_writer", call_wrongly)
    writing = LogAppender(BrokerAddress("redis://nowhere/0"))
    writing.append([stalled()])
    eventually(lambda: caplog.records)
    writing.append([stalled()])
    writing.stop()
    assert is_told(caplog)
