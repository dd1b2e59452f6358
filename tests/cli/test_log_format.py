"""The log as lines for people and as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime

from celery_wsprogress.cli.log_format import formatter


def record(message="said %s", *args, **more):
    return logging.makeLogRecord(
        {"name": "celery_wsprogress.sidecar", "levelname": "WARNING", "created": 1_735_734_005.456}
        | {"msg": message, "args": args}
        | more
    )


def test_a_line_of_json_has_what_a_collector_needs():
    line = formatter("json", is_child=False).format(record("said %s", "hello", process=7))
    found = json.loads(line)
    assert found == {
        "time": "2025-01-01T12:20:05.456Z",
        "level": "warning",
        "logger": "celery_wsprogress.sidecar",
        "process": 7,
        "message": "said hello",
    }
    assert datetime.fromisoformat(found["time"]).timestamp() == 1_735_734_005.456


def test_what_a_client_has_sent_stays_in_its_line_of_json():
    line = formatter("json", is_child=False).format(record("a\nb \x1b[31m", operation_id="é"))
    assert "\n" not in line
    assert "\x1b" not in line
    assert json.loads(line)["message"] == "a\nb \x1b[31m"
    assert json.loads(line)["operation_id"] == "é"


def test_a_traceback_is_a_field_of_json():
    try:
        int("no number")
    except ValueError:
        line = formatter("json", is_child=False).format(record("oh", exc_info=sys.exc_info()))
    found = json.loads(line)["exception"]
    assert found.startswith("Traceback")
    assert "ValueError" in found.splitlines()[-1]


def test_a_value_that_is_no_json_is_its_text():
    line = formatter("json", is_child=False).format(record("oh", what=ValueError("x")))
    assert json.loads(line)["what"] == "x"


def test_lines_for_people_name_the_process_where_there_are_several():
    text = formatter("text", is_child=True).format(record("oh\x1b", process=7))
    assert text.endswith("WARNING [7] oh\\x1b")
    assert "[7]" not in formatter("text", is_child=False).format(record("oh", process=7))
