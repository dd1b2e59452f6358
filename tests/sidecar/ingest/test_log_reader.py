from __future__ import annotations

from support.conditions import eventually
from support.sample_events import stalled

from celery_wsprogress.brokers import BrokerAddress
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


def test_nor_to_who_writes(monkeypatch, caplog):
    monkeypatch.setattr(log_appender, "open_writer", call_wrongly)
    writing = LogAppender(BrokerAddress("redis://nowhere/0"))
    writing.append([stalled()])
    eventually(lambda: caplog.records)
    writing.append([stalled()])
    writing.stop()
    assert is_told(caplog)
