from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as with_settings
from hypothesis import strategies as st
from msgspec import UNSET
from support.json_values import nested, numbers, objects, texts, values
from support.sample_events import log, progress, result, status

from celery_wsprogress.errors import BatchVersionUnknown, CommandError, MalformedBatch
from celery_wsprogress.protocol import batches, messages
from celery_wsprogress.protocol import events as ev

#: As many examples as other tests draw would take long here.
HALF = max(1, with_settings.default.max_examples // 2)

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
seconds = st.floats(0, 1e9)


def maybe(strategy):
    return st.just(UNSET) | strategy


def event(kind, data, **fields):
    """Events of one kind; the data's fields are as given."""
    return st.builds(
        kind,
        operation_id=words,
        timestamp=st.floats(0, 1e11),
        run=texts,
        publication=texts,
        data=st.builds(data, **fields),
    )


EVENTS = {
    "status": event(
        ev.Status,
        ev.StatusData,
        status=words,
        message=texts,
        details=objects,
        operation_type=maybe(texts),
        metadata=maybe(objects),
        tags=maybe(st.lists(texts, max_size=3)),
        attempt=maybe(st.integers(1, 1000)),
        worker=maybe(texts),
        retry_in=maybe(seconds),
        group_id=maybe(texts),
    ),
    "progress": event(
        ev.Progress,
        ev.ProgressData,
        progress=st.floats(0, 1),
        message=texts,
        details=objects,
        current=maybe(numbers),
        total=maybe(numbers),
        unit=maybe(texts),
        rate=maybe(seconds),
        eta=maybe(seconds),
        indeterminate=maybe(st.booleans()),
    ),
    "log": event(
        ev.Log,
        ev.LogData,
        level=st.sampled_from(["debug", "info", "warning", "error", "critical"]),
        message=texts,
        logger=maybe(texts),
        details=maybe(objects),
    ),
    "chunk": event(
        ev.Chunk,
        ev.ChunkData,
        stream=words,
        index=st.integers(0, 2**53),
        chunk=values,
        closed=maybe(st.booleans()),
        truncated=maybe(st.booleans()),
    ),
    "result": event(
        ev.Result, ev.ResultData, result=values, truncated=maybe(st.booleans())
    ),
    "completed": event(
        ev.Completed,
        ev.CompletedData,
        status=st.just("completed"),
        duration=maybe(seconds),
        attempt=maybe(st.integers(1, 1000)),
    ),
    "error": event(
        ev.Error,
        ev.ErrorData,
        error=words,
        error_type=words,
        status=maybe(st.sampled_from(["error", "cancelled"])),
        duration=maybe(seconds),
    ),
}  # fmt: skip
any_event = st.one_of(*EVENTS.values())


def batch(*events, v=1, writer="w", n=1):
    """A batch of events that are given as JSON already, or as values to make JSON of."""
    encoded = [one if isinstance(one, str) else json.dumps(one) for one in events]
    head = json.dumps({"v": v, "writer": writer, "n": n})[:-1]
    return f'{head}, "events": [{", ".join(encoded)}]}}'.encode()


def encoded(event):
    return batches.encode_event(event).decode()


def result_of(text):
    """A result event whose result is this JSON."""
    return encoded(result("RESULT")).replace('"RESULT"', text)


# Batches.


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_comes_back_as_it_was(kind):
    @given(st.lists(EVENTS[kind], max_size=3), st.integers(1, 2**62))
    @with_settings(max_examples=HALF)
    def comes_back(events, counter):
        body = batches.join_batch(
            "9f3c2a1b", counter, [batches.encode_event(one) for one in events]
        )
        assert batches.decode_batch(body) == batches.Batch("9f3c2a1b", counter, events)

    comes_back()


@given(any_event)
def test_an_event_is_strict_json_with_the_protocols_envelope(event):
    def refuse(constant):
        raise AssertionError(constant)

    frame = json.loads(messages.encode_event_frame(event, "e1.7.0"), parse_constant=refuse)
    assert frame["event_type"] == type(event).__name__.lower()
    assert frame["event_id"] == "e1.7.0"
    assert frame["operation_id"] == event.operation_id
    assert isinstance(frame["timestamp"], float)
    assert isinstance(frame["data"], dict)
    assert "publication" not in frame


def test_base_fields_are_there_though_empty():
    frame = json.loads(messages.encode_event_frame(progress(0.0), "e.1.0"))
    assert frame["data"] == {"progress": 0.0, "message": "", "details": {}}


def test_what_is_unset_is_left_out():
    frame = json.loads(messages.encode_event_frame(log("hello"), "e.1.0"))
    assert frame["data"] == {"level": "info", "message": "hello"}


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_in_our_own_words(body):
    with pytest.raises((MalformedBatch, BatchVersionUnknown)):
        batches.decode_batch(body)


batch_like = st.fixed_dictionaries(
    {},
    optional={
        "v": st.just(1) | values,
        "writer": texts | values,
        "n": st.integers() | values,
        "events": st.lists(
            values
            | st.fixed_dictionaries(
                {
                    "event_type": st.sampled_from(["status", "progress", "log", "result"]) | values,
                    "operation_id": texts | values,
                    "timestamp": numbers | values,
                    "data": objects | values,
                }
            ),
            max_size=3,
        )
        | values,
        "later": values,
    },
)


@given(batch_like | values)
def test_arbitrary_json_is_read_or_refused_in_our_own_words(value):
    try:
        read = batches.decode_batch(json.dumps(value).encode())
    except (MalformedBatch, BatchVersionUnknown):
        return
    assert len(read.events) + read.malformed == len(value["events"])


GOOD = encoded(log("good"))
BAD = {
    "null": "null",
    "number": "7",
    "text": '"status"',
    "list": "[]",
    "empty": "{}",
    "without type": GOOD.replace('"event_type":"log",', ""),
    "unknown type": GOOD.replace('"log"', '"chunk2"'),
    "without data": '{"event_type": "log", "operation_id": "x", "timestamp": 1}',
    "null data": '{"event_type": "log", "operation_id": "x", "timestamp": 1, "data": null}',
    "null message": GOOD.replace('"good"', "null"),
    "unknown level": GOOD.replace('"info"', '"warn"'),
    "empty id": GOOD.replace('"op-1"', '""'),
    "long id": GOOD.replace("op-1", "x" * 1001),
    "long run": GOOD.replace("r1", "x" * 1001),
    "progress above one": encoded(progress(0.5)).replace("0.5", "1.5"),
    "progress null": encoded(progress(0.5)).replace("0.5", "null"),
    "no error": encoded(log("")).replace('"log"', '"error"'),
    "timestamp null": GOOD.replace("0.0", "null"),
    "timestamp infinite": GOOD.replace("0.0", "1e999"),
    "timestamp of 400 digits": GOOD.replace("0.0", "1" * 400),
    "timestamp in milliseconds": GOOD.replace("0.0", "1735734005456000"),
    "number of 5000 digits": result_of("1" * 5000),
    "too deep": result_of(nested(batches.MAX_DEPTH - 1)),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_event_costs_only_itself(bad):
    assert bad != GOOD
    read = batches.decode_batch(batch(GOOD, bad, GOOD))
    assert (read.writer, read.counter) == ("w", 1)
    assert read.events == [log("good"), log("good")]
    assert read.malformed == 1


@given(st.lists(any_event, max_size=4), values, st.integers(0, 4))
def test_anything_among_good_events_costs_only_itself(good, bad, place):
    events = [encoded(one) for one in good]
    events.insert(place, json.dumps(bad))
    read = batches.decode_batch(batch(*events))
    assert read.events == good
    assert read.malformed == 1


@pytest.mark.parametrize("bad", ["NaN", '"\\ud800"', "nul", nested(100_000)])
def test_what_is_no_json_costs_the_batch_and_nothing_else(bad):
    with pytest.raises(MalformedBatch):
        batches.decode_batch(batch(GOOD, result_of(bad)))


def test_the_deepest_event_that_is_read_can_be_written_in_anything():
    deepest = result_of(nested(batches.MAX_DEPTH - 2))
    read = batches.decode_batch(batch(deepest, *[GOOD] * 200))
    assert (len(read.events), read.malformed) == (201, 0)
    value = read.events[0].data.result

    def down(calls):
        return down(calls - 1) if calls else messages.encode_frame({"a": [{"operation": value}]})

    assert nested(batches.MAX_DEPTH - 2).encode() in down(300)


def test_too_deep_an_event_is_found_among_many():
    too_deep = result_of(nested(batches.MAX_DEPTH - 1))
    read = batches.decode_batch(batch(*[GOOD] * 500, too_deep, *[GOOD] * 500))
    assert (len(read.events), read.malformed) == (1000, 1)


def test_many_brackets_are_not_deep():
    wide = [result([[]] * 1000), result("[{" * 1000), result([{"a": {}}] * 500)]
    assert batches.decode_batch(batch(*map(encoded, wide))).events == wide


def test_unknown_fields_are_ignored():
    later = json.loads(GOOD) | {"later": [1], "event_id": "from nowhere"}
    later["data"] |= {"later": {"a": 1}}
    body = json.loads(batch(later)) | {"later": True}
    read = batches.decode_batch(json.dumps(body).encode())
    assert [one.data.message for one in read.events] == ["good"]


@pytest.mark.parametrize(
    "body",
    [
        batch(v=2),
        batch("7", v=2),
        b'{"v": 2}',
        b'{"v": 0, "writer": 7, "events": {}}',
        b'{"v": 123456789012345678901234567890}',
    ],
)
def test_another_version_is_told_from_nonsense_whatever_it_looks_like(body):
    with pytest.raises(BatchVersionUnknown, match="is not known to this version"):
        batches.decode_batch(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"v": "1", "writer": "w", "n": 1, "events": []}',
        b'{"v": 1, "n": 1, "events": []}',
        b'{"v": 1, "writer": "w", "events": []}',
        b'{"v": 1, "writer": "w", "n": "1", "events": []}',
        b'{"v": 1, "writer": "w", "n": 1, "events": {}}',
        batch()[:-1],
    ],
)
def test_what_is_no_batch(body):
    with pytest.raises(MalformedBatch):
        batches.decode_batch(body)


# Frames to clients.

HUGE = {
    "message": lambda text: progress(0.5, message=text),
    "unit": lambda text: progress(0.5, unit=text),
    "log": log,
    "result": result,
    "result list": lambda text: result([text]),
    "result object": lambda text: result({"a": text}),
    "status": lambda text: status(text or "x"),
    "metadata": lambda text: status("started", metadata={"a": text}),
    "tags": lambda text: status("started", tags=[text]),
    "several": lambda text: status("started", worker=text, queue=text, root_id=text),
}


@pytest.mark.parametrize("letter", ["a", "\x00", '"', "é", "\U0001f600"])
@pytest.mark.parametrize("make", HUGE.values(), ids=HUGE)
def test_no_frame_is_above_the_bound_and_a_cut_one_is_still_an_event(make, letter):
    size = len(msgspec.json.encode(letter)) - 2
    event = make(letter * (messages.MAX_FRAME_BYTES // size + 1))
    frame = messages.encode_event_frame(event, "e.1.0")
    assert len(frame) <= messages.MAX_FRAME_BYTES
    assert type(msgspec.json.decode(frame, type=ev.Event)) is type(event)
    assert "… [cut: it had" in frame.decode() or '{"truncated":true}' in frame.decode()


@given(st.data())
@with_settings(max_examples=HALF)
def test_no_frame_of_any_event_is_above_the_bound(data):
    size = data.draw(st.sampled_from([0, 900, 5_000, 300_000, 999_800, 1_000_001]))
    make = data.draw(st.sampled_from(list(HUGE.values())))
    assert len(messages.encode_event_frame(make("a" * size), "e.1.0")) <= messages.MAX_FRAME_BYTES


def test_the_longest_ids_do_not_pass_the_bound_either():
    long = "\x00" * ev.MAX_ID_LENGTH
    event = msgspec.structs.replace(log("a" * 1_000_000), operation_id=long, run=long)
    assert batches.decode_batch(batch(encoded(event))).malformed == 0
    assert len(messages.encode_event_frame(event, "e.1.0")) <= messages.MAX_FRAME_BYTES


def test_a_cut_keeps_what_is_small():
    event = status("started", metadata={"room": 7}, tags=["x" * 1_000_000], worker="w@host")
    data = json.loads(messages.encode_event_frame(event, "e.1.0"))["data"]
    assert (data["status"], data["metadata"], data["worker"]) == ("started", {"room": 7}, "w@host")
    assert data["tags"] == [data["tags"][0]]


def test_a_cut_result_says_so():
    data = json.loads(messages.encode_event_frame(result("x" * 1_000_000), "e.1.0"))["data"]
    assert data["truncated"] is True


def test_a_frame_of_exactly_the_bound_is_not_cut():
    room = messages.MAX_FRAME_BYTES - len(messages.encode_event_frame(log(""), "e.1.0"))
    whole = messages.encode_event_frame(log("a" * room), "e.1.0")
    assert len(whole) == messages.MAX_FRAME_BYTES
    assert b"cut" not in whole
    assert b"cut" in messages.encode_event_frame(log("a" * (room + 1)), "e.1.0")


# Commands from clients.


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "nul", "NaN", '{"a": NaN}', "{'a': 1}", '"\\ud800"', b"\xff", "\ud800",
     nested(100_000), "1" * 5000, "{} {}"],
)  # fmt: skip
def test_what_is_no_json_is_answered_in_the_protocols_words(text):
    with pytest.raises(CommandError) as caught:
        messages.decode_command(text)
    assert (caught.value.code, str(caught.value)) == ("invalid_json", "Invalid JSON")


@pytest.mark.parametrize("text", ["null", "7", '"ping"', "[]", "true", '[{"command": "ping"}]'])
def test_json_that_is_no_object_is_no_command(text):
    with pytest.raises(CommandError) as caught:
        messages.decode_command(text)
    assert caught.value.code == "invalid_command"


@given(st.text(max_size=50) | st.binary(max_size=50) | values.map(json.dumps))
def test_any_frame_is_an_object_or_refused(frame):
    try:
        value = messages.decode_command(frame)
    except CommandError as exc:
        value = {"code": exc.code}
    assert isinstance(value, dict)


@given(objects)
def test_an_object_is_read_as_it_is(value):
    assert messages.decode_command(json.dumps(value)) == value


RUNS = st.lists(st.tuples(words, texts), max_size=3).map(tuple)


@given(RUNS, seconds)
def test_the_runs_that_go_on_come_back(runs, at):
    batch = batches.decode_batch(batches.join_batch("w", 1, [], runs, at))
    assert batch == batches.Batch("w", 1, [], alive=runs, at=at if runs else 0.0)


def test_a_bad_event_does_not_cost_the_signs_of_life():
    body = batches.join_batch("w", 1, [b'{"event_type":"none"}'], [("op-1", "r1")], 7.5, every=3.0)
    assert batches.decode_batch(body) == batches.Batch("w", 1, [], 1, (("op-1", "r1"),), 7.5, 3.0)


@pytest.mark.parametrize("alive", [b"7", b'[["", "r1"]]', b'[["op-1"]]', b'{"op-1": "r1"}'])
def test_bad_signs_of_life_do_not_cost_the_events(alive):
    body = batches.join_batch("w", 1, [batches.encode_event(log("a"))])
    body = body.removesuffix(b"}") + b',"alive":' + alive + b"}"
    assert batches.decode_batch(body) == batches.Batch("w", 1, [log("a")])


@pytest.mark.parametrize("every", ["0", "-1", "null", '"x"', "1e9"])
def test_an_interval_that_is_none_costs_nothing_else(every):
    body = batches.join_batch(
        "w", 1, [batches.encode_event(log("a"))], [("op-1", "r1")], 7.5, every=3.0
    )
    batch = batches.decode_batch(body.replace(b'"every":3.0', f'"every":{every}'.encode()))
    assert (len(batch.events), len(batch.alive), batch.every) == (
        1,
        1,
        batches.DEFAULT_HEARTBEAT_INTERVAL,
    )


def test_an_interval_is_stated_where_it_is_not_the_usual_one():
    assert b"every" not in batches.join_batch("w", 1, [])
    assert batches.decode_batch(batches.join_batch("w", 1, [], every=0.5)).every == 0.5


@given(any_event)
def test_an_event_is_read_as_it_stands_in_a_batch(event):
    assert batches.decode_event(batches.encode_event(event)) == event


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_is_no_event_is_read_as_none(bad):
    assert batches.decode_event(bad.encode()) is None


def test_the_head_of_a_batch_names_its_writer_and_its_number():
    body = batches.join_batch("9f3c-2a_1b", 17, [batches.encode_event(log("a"))])
    assert batches.head_of(body) == ("9f3c-2a_1b", 17)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"v":1,"n":17,"writer":"w","events":[]}', b'{"v":1,"writer":"","n":1,',
     b'{"v":1,"writer":"w","n":-1,', b' {"v":1,"writer":"w","n":1,'],
)  # fmt: skip
def test_what_another_program_wrote_has_no_head(body):
    assert batches.head_of(body) is None


@pytest.mark.parametrize("count", [256, 30_000])
def test_a_writer_with_a_long_name_is_none(count):
    body = batches.join_batch("w" * count, 1, [encoded(log("hello")).encode()])
    with pytest.raises(MalformedBatch):
        batches.decode_batch(body)
    named = batches.join_batch("w" * 255, 1, [encoded(log("hello")).encode()])
    assert batches.decode_batch(named).writer == "w" * 255
