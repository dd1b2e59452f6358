"""Messages on the socket: strict JSON, and never larger than a stock client takes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from support.json_values import objects
from support.sample_events import log, result, status

from celery_wsprogress.errors import CommandError
from celery_wsprogress.protocol import messages

HUGE = "ü" * messages.MAX_FRAME_BYTES


def snapshot(**fields):
    return {"operation_id": "op-1", "status": "started", **fields}


def test_a_small_reply_goes_as_it_is():
    reply = {"status": "subscribed", "operation": snapshot(result={"rows": [1, 2]})}
    assert json.loads(messages.encode_reply(reply)) == reply


def test_a_large_reply_without_a_snapshot_is_not_cut():
    reply = {"operations": [HUGE], "operation": None}
    assert json.loads(messages.encode_reply(reply)) == reply


@pytest.mark.parametrize(
    ("value", "kind"),
    [(HUGE, str), ({"text": HUGE}, dict), ([HUGE], list)],
    ids=["text", "object", "list"],
)
def test_what_is_large_in_a_snapshot_is_cut_with_a_mark(value, kind):
    reply = {"status": "subscribed", "operation": snapshot(result=value, metadata={"a": 1})}
    frame = messages.encode_reply(reply)
    assert len(frame) <= messages.MAX_FRAME_BYTES
    operation = json.loads(frame)["operation"]
    assert operation | {"result": None} == snapshot(result=None, metadata={"a": 1})
    size = f"{len(json.dumps(reply, ensure_ascii=False, separators=(',', ':')).encode()):,}"
    mark = f"… [cut: it had {size} bytes]"
    expected = {str: HUGE[:1000] + mark, dict: {"truncated": True}, list: [mark]}
    assert operation["result"] == expected[kind]


@pytest.mark.parametrize("missed", [None, 0, 3])
def test_a_snapshot_frame_says_how_much_was_missed(missed):
    frame = json.loads(messages.encode_snapshot_frame(snapshot(), missed, 17.5))
    assert frame == {
        "event_type": "snapshot",
        "operation_id": "op-1",
        "timestamp": 17.5,
        "data": {},
        "operation": snapshot(),
        "missed": missed,
    }


def test_an_event_frame_has_its_id_and_nothing_of_the_writers_own():
    frame = json.loads(messages.encode_event_frame(status("started", after="r0"), "e.1.0"))
    assert frame["event_id"] == "e.1.0"
    assert frame["data"]["status"] == "started"
    assert not {"after", "publication", "inferred"} & set(frame)


def test_a_large_event_is_cut_with_a_mark():
    frame = messages.encode_event_frame(log(HUGE), "e.1.0")
    assert len(frame) <= messages.MAX_FRAME_BYTES
    data = json.loads(frame)["data"]
    assert data["level"] == "info"
    assert data["message"].startswith("üüü")
    assert data["message"].endswith(" bytes]")


def test_a_large_result_says_that_it_is_truncated():
    data = json.loads(messages.encode_event_frame(result([HUGE]), "e.1.0"))["data"]
    assert data["truncated"] is True
    assert len(data["result"]) == 1
    assert data["result"][0].startswith("… [cut: it had ")


@given(objects)
def test_a_command_is_read_as_json(fields):
    assert messages.decode_command(json.dumps(fields)) == fields
    assert messages.decode_command(json.dumps(fields).encode()) == fields


@pytest.mark.parametrize("too_large", [False, True])
@pytest.mark.parametrize(
    "text",
    ["", "{", "nul", b"\xff", '{"command":' + "[" * 100_000],
    ids=["nothing", "a beginning", "a part of a word", "no UTF-8", "deep"],
)
def test_what_is_no_json_is_refused_in_the_protocols_words(text, too_large):
    with pytest.raises(CommandError, match=r"^Invalid JSON$") as refusal:
        messages.decode_command(text, too_large=too_large)
    assert refusal.value.code == "invalid_json"


@pytest.mark.parametrize("too_large", [False, True])
@pytest.mark.parametrize("text", ["1", "null", '"x"', "[]"])
def test_a_command_is_an_object(text, too_large):
    with pytest.raises(CommandError, match="A command is a JSON object") as refusal:
        messages.decode_command(text, too_large=too_large)
    assert refusal.value.code == "invalid_command"


def test_of_a_command_that_is_too_large_only_the_head_is_read():
    text = json.dumps({"command": "get", "request_id": 7, "operation_ids": ["x"] * 100})
    head = messages.decode_command(text, too_large=True)
    assert head == {"command": "get", "request_id": 7}
    assert messages.decode_command("{}", too_large=True) == {"command": None, "request_id": None}


@pytest.mark.parametrize(
    ("text", "size"), [("", 0), ("ab", 2), ("ü", 2), (b"\xff\xfe", 2), ("\ud800", 3)], ids=ascii
)
def test_the_size_of_a_command_is_counted_in_bytes(text, size):
    assert messages.command_size(text) == size


def test_a_reply_is_one_text():
    assert json.loads(messages.encode_frame({"a": None})) == {"a": None}
