from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import process
from support.frames import decoded
from support.hub_clients import HubClient
from support.json_values import nested, objects, texts, values
from support.sample_events import completed, progress, queued, status
from support.tokens import KEY, NOW, token, verifier

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import commands
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.protocol import batches, messages

MAX_SUBSCRIPTIONS = 5


def refuse(constant):
    raise AssertionError(constant)


class Client(HubClient):
    """A client of one hub: commands in, decoded frames out."""

    def __init__(self, hub, *, key=None, exact_only=False, untrusted=False, **how):
        permit = Permit(key and verifier(key), exact_only=exact_only, untrusted=untrusted)
        super().__init__(hub, permit, max_subscriptions=MAX_SUBSCRIPTIONS, **how)

    def send(self, frame, now=200.0):
        """Send one frame and take everything that comes of it."""
        taken = super().send(frame, now)
        assert all(len(one) <= messages.MAX_FRAME_BYTES for one in taken)
        return [json.loads(one, parse_constant=refuse) for one in taken]

    def ask(self, command, **fields):
        """Send a command and take its reply, which comes first."""
        return self.send(json.dumps({"command": command, **fields}))[0]

    def events(self):
        return [one["event_type"] for one in decoded(self.session.take(10**9, 200.0, 0.0))]


class WrittenHub(Hub):
    """A hub that knows how many batches were written for it."""

    written = 0


def write(hub, *events, writer="w"):
    hub.written += 1
    batch = batches.Batch(writer, hub.written, events)
    process(hub, batch, epoch="e", position=str(batch.counter), now=NOW)


@pytest.fixture
def hub():
    """Two operations: one goes on, one has ended."""
    hub = WrittenHub()
    write(
        hub,
        queued(at=1.0, operation_id="done", operation_type="proj.add", tags=["red"]),
        status("started", at=2.0, operation_id="done", metadata={}),
        completed(at=3.0, operation_id="done"),
        queued(at=4.0, operation_id="live", operation_type="proj.index", publication="p2"),
        status("started", at=5.0, operation_id="live", publication="p2", metadata={}),
        progress(0.5, at=6.0, operation_id="live"),
    )
    return hub


@pytest.fixture
def client(hub):
    return Client(hub)


def refusal(reply):
    """The code of a command that was not taken."""
    assert (reply["event_type"], reply["data"]) == ("reply", {})
    assert isinstance(reply["error"], str)
    assert reply["error"]
    assert reply["command"] is None or isinstance(reply["command"], str)
    return reply["code"]


# Whatever comes is answered once.

names = st.sampled_from([*commands.COMMANDS, "cancel", "get_history", "nonsense"])
ids = st.sampled_from(["done", "live", "unheard", "*", ""])
sensible = {
    "operation_id": ids | values,
    "operation_ids": st.lists(ids, max_size=7) | values,
    "since": st.sampled_from(["e.1.0", "e.1.99", "f.1.0", "e.x.0", "nonsense", "e.1-2-3.-1"])
    | st.dictionaries(ids, st.sampled_from(["e.1.0", "x"]) | values, max_size=3)
    | values,
    "replay": st.sampled_from(["all", "last", "none", "some"]) | values,
    "state": st.sampled_from(["running", "completed", "lost"]) | values,
    "operation_type": st.sampled_from(["proj.*", "[", "[!", "[b-a]", "*" * 300]) | values,
    "tag": st.just("red") | values,
    "limit": st.integers(-1, 1001) | values,
    "cursor": st.sampled_from(["1", "0", "-1", "٣", "9" * 19]) | values,
    "token": st.just("token") | values,
    "request_id": texts | st.integers() | values,
}
command_like = st.fixed_dictionaries({}, optional={"command": names | values, **sensible})
frames = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30),
    (objects | values | command_like).map(json.dumps),
)


@given(st.lists(frames, min_size=1, max_size=4), st.sampled_from([None, KEY]), st.booleans())
def test_any_frame_gets_exactly_one_reply_which_is_strict_json(sent, key, exact_only):
    hub = WrittenHub()
    write(hub, queued(operation_id="done"), completed(run="r1", operation_id="done"))
    write(hub, status("started", operation_id="live"), progress(0.1, operation_id="live"))
    client = Client(hub, key=key, exact_only=exact_only)
    for frame in sent:
        got = client.send(frame)
        replies = [one for one in got if one["event_type"] == "reply"]
        assert got[:1] == replies
        assert replies[0]["data"] == {}
        assert ("request_id" in replies[0]) is has_request_id(frame)
        if "request_id" in replies[0]:
            assert replies[0]["request_id"] == json.loads(frame)["request_id"]
    assert client.session.commands == len(sent)


def has_request_id(frame):
    try:
        value = json.loads(frame)
    except ValueError:
        return False
    return isinstance(value, dict) and type(value.get("request_id")) in {str, int}


@pytest.mark.parametrize("request_id", ["", "seven", 0, 7, -7, 10**30, "\u0000", "😀"])
def test_the_request_id_is_echoed(client, request_id):
    assert client.ask("ping", request_id=request_id)["request_id"] == request_id
    assert client.ask("nonsense", request_id=request_id)["request_id"] == request_id


@pytest.mark.parametrize("request_id", ["x" * 1_001, 10**100, -(10**100), 10**4_000])
def test_a_request_id_that_is_too_long_is_refused_and_not_echoed(client, request_id):
    reply = client.ask("ping", request_id=request_id)
    assert refusal(reply) == "invalid_command"
    assert "request_id" not in reply


def test_what_an_error_quotes_is_bounded_and_escaped(hub):
    client = Client(hub, key=KEY)
    client.ask("authenticate", token=token("other"))
    asked = client.ask("get_operation", operation_id="\x1b[31m\n" + "x" * 900)
    assert refusal(asked) == "forbidden"
    unknown = client.ask("\x1b[31m\n" + "x" * 900)
    for text in (asked["error"], unknown["error"]):
        assert text.isprintable()
        assert len(text) < 300


@pytest.mark.parametrize("request_id", [None, True, 1.5, [], {}, ["x"]])
def test_what_is_no_request_id_is_not(client, request_id):
    assert "request_id" not in client.ask("ping", request_id=request_id)


@pytest.mark.parametrize("frame", ["", "{", "nonsense", '{"command": NaN}', b"\xff"])
def test_invalid_json_in_the_words_of_the_protocol(client, frame):
    (reply,) = client.send(frame)
    assert refusal(reply) == "invalid_json"
    assert reply["error"] == "Invalid JSON"


def test_an_unknown_command_in_the_words_of_the_protocol(client):
    reply = client.ask("dance")
    assert refusal(reply) == "unknown_command"
    assert reply["error"] == "Unknown command: dance"
    assert reply["command"] == "dance"


@pytest.mark.parametrize("frame", ["[]", "null", "7", "{}", '{"command": null}', '{"command": 7}'])
def test_what_is_no_command(client, frame):
    (reply,) = client.send(frame)
    assert refusal(reply) == "invalid_command"


@pytest.mark.parametrize(
    "command", ["x" * 60_000, ["x"] * 1000, {"a": "b"}, "BIGGEST", "DEEPEST"], ids=repr
)
def test_what_a_client_puts_in_the_place_of_a_name_does_not_come_back_whole(client, command):
    text = json.dumps({"command": command})
    text = text.replace('"BIGGEST"', "1" * 4300).replace('"DEEPEST"', nested(900))
    (reply,) = client.send(text)
    refusal(reply)
    assert len(json.dumps(reply)) < 500


# Subscriptions.


def test_subscribing_confirms_then_replays_then_goes_on(client, hub):
    frames = client.send('{"command": "subscribe", "operation_id": "live"}')
    assert frames[0]["status"] == "subscribed"
    assert frames[0]["operation_id"] == "live"
    assert frames[0]["operation"]["progress"] == 0.5
    assert "recovered" not in frames[0]
    assert [one["event_type"] for one in frames[1:]] == ["status", "status", "progress"]
    write(hub, progress(0.75, operation_id="live"), progress(0.8, operation_id="done"))
    assert client.events() == ["progress"]


def test_an_id_nobody_has_heard_of_is_accepted(client, hub):
    reply = client.ask("subscribe", operation_id="unheard")
    assert (reply["status"], reply["operation"]) == ("subscribed", None)
    write(hub, queued(operation_id="unheard"))
    assert client.events() == ["status"]


def test_subscribing_again_confirms_again_and_replays_nothing(client):
    client.ask("subscribe", operation_id="live")
    (reply,) = client.send('{"command": "subscribe", "operation_id": "live"}')
    assert (reply["status"], reply["operation"]["state"]) == ("subscribed", "running")


@pytest.mark.parametrize(
    ("replay", "kinds"),
    [("all", ["status", "status", "progress"]), ("last", ["status", "progress"]), ("none", [])],
)
def test_replay(client, replay, kinds):
    asked = {"command": "subscribe", "operation_id": "live", "replay": replay}
    assert [one["event_type"] for one in client.send(json.dumps(asked))] == ["reply", *kinds]


@pytest.mark.parametrize(
    ("since", "recovered", "kinds"),
    [
        ("e.1.4", True, ["progress"]),
        ("e.1.5", True, []),
        ("f.1.4", False, ["status", "status", "progress"]),
        ("nonsense", False, ["status", "status", "progress"]),
        ("e.1.0", True, ["status", "status", "progress"]),
    ],
)
def test_resuming(client, since, recovered, kinds):
    asked = {"command": "subscribe", "operation_id": "live", "since": since}
    reply, *events = client.send(json.dumps(asked))
    assert reply["recovered"] is recovered
    assert [one["event_type"] for one in events] == kinds


def test_several_at_once(client):
    reply = client.ask("subscribe", operation_ids=["live", "done", "live"])
    assert reply["status"] == "subscribed"
    assert reply["operation_ids"] == ["live", "done"]
    assert client.session.subscribed == {"live", "done"}


def test_several_are_resumed_from_where_each_was(client):
    since = {"live": "e.1.4", "unheard": "e.1.1", "unasked": "e.1.1"}
    reply = client.ask("subscribe", operation_ids=["live", "done", "unheard"], since=since)
    assert reply["recovered"] == {"live": True, "unheard": True}
    assert client.session.subscribed == {"live", "done", "unheard"}


def test_everything(client, hub):
    reply, *events = client.send('{"command": "subscribe", "operation_id": "*"}')
    assert (reply["status"], reply["operation_id"]) == ("subscribed", "*")
    # By default how things stand with what has not ended.
    assert {one["operation_id"] for one in events} == {"live"}
    write(hub, queued(operation_id="new"))
    assert client.events() == ["status"]


@pytest.mark.parametrize("which", [{"operation_id": "live"}, {"operation_ids": ["live", "done"]}])
def test_unsubscribing(client, hub, which):
    client.ask("subscribe", **which)
    reply = client.ask("unsubscribe", **which)
    assert reply["status"] == "unsubscribed"
    assert which.items() <= reply.items()
    write(hub, progress(0.75, operation_id="live"))
    assert client.events() == []


def test_unsubscribing_from_everything(client, hub):
    client.ask("subscribe", operation_id="*")
    assert client.ask("unsubscribe", operation_id="*")["operation_id"] == "*"
    write(hub, progress(0.75, operation_id="live"))
    assert client.events() == []


def test_unsubscribing_from_what_was_not_subscribed_is_no_error(client):
    assert client.ask("unsubscribe", operation_id="unheard")["status"] == "unsubscribed"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"operation_id": ""},
        {"operation_id": 7},
        {"operation_id": None},
        {"operation_id": ["live"]},
        {"operation_id": "x" * 1001},
        {"operation_ids": "live"},
        {"operation_ids": [7]},
        {"operation_ids": [""]},
        {"operation_ids": ["live", "*"]},
        {"operation_ids": ["x" * 1001]},
        {"operation_ids": ["live"], "since": "e.1.0"},
        {"operation_ids": ["live"], "since": {"live": 7}},
        {"operation_id": "live", "since": {"live": "e.1.0"}},
        {"operation_id": "live", "since": 7},
        {"operation_id": "live", "replay": "some"},
        {"operation_id": "live", "replay": 7},
        {"operation_id": "live", "max_rate": "5"},
        {"operation_id": "live", "max_rate": True},
        {"operation_id": "live", "max_rate": 0},
        {"operation_ids": ["live"], "max_rate": -1},
    ],
    ids=lambda fields: json.dumps(fields)[:50],
)
def test_a_subscription_that_makes_no_sense_changes_nothing(client, fields):
    assert refusal(client.ask("subscribe", **fields)) == "invalid_command"
    assert client.session.subscribed == set()
    assert not client.session.has_unread


@pytest.mark.parametrize(
    "fields", [{"operation_id": "live"}, {"operation_ids": ["live", "done"]}, {"operation_id": "*"}]
)
def test_a_subscription_says_how_often_progress_is_wanted(client, fields):
    assert "error" not in client.ask("subscribe", max_rate=0.1, **fields)
    for value in (0.1, 0.2):
        write(client.hub, progress(value, operation_id="live"))
        client.events()
    assert client.session.next_due is not None


def test_subscriptions_are_bounded(client):
    for number in range(MAX_SUBSCRIPTIONS):
        assert "error" not in client.ask("subscribe", operation_id=f"op-{number}")
    assert refusal(client.ask("subscribe", operation_id="more")) == "too_many_subscriptions"
    # What is watched already takes no more room.
    assert "error" not in client.ask("subscribe", operation_id="op-0")
    client.ask("unsubscribe", operation_id="op-0")
    assert "error" not in client.ask("subscribe", operation_id="more")


def test_too_many_at_once_are_refused_as_a_whole(client):
    asked = [f"op-{number}" for number in range(MAX_SUBSCRIPTIONS + 1)]
    assert refusal(client.ask("subscribe", operation_ids=asked)) == "too_many_subscriptions"
    assert client.session.subscribed == set()


# Questions.


def test_get_operation(client):
    snapshot = client.ask("get_operation", operation_id="live")["operation"]
    assert (snapshot["operation_id"], snapshot["operation_type"]) == ("live", "proj.index")
    assert client.ask("get_operation", operation_id="unheard")["operation"] is None
    assert refusal(client.ask("get_operation")) == "invalid_command"


def test_a_snapshot_too_large_for_a_frame_is_cut(client, hub):
    for number in range(60):
        metadata = {f"{number}-{n}": "x" * 990 for n in range(30)}
        write(hub, status("started", operation_id="huge", metadata=metadata))
    write(hub, progress(0.5, operation_id="huge", message="still there"))
    for reply in (
        client.ask("get_operation", operation_id="huge"),
        client.ask("subscribe", operation_id="huge", replay="none"),
    ):
        assert reply["operation"]["metadata"] == {"truncated": True}
        assert reply["operation"]["message"] == "still there"
    assert [one for page in pages(client) for one in listed(page)] == ["huge", "live", "done"]


def listed(reply):
    return [one["operation_id"] for one in reply["operations"]]


def pages(client, **fields):
    """All pages of a list."""
    found = [client.ask("list_operations", **fields)]
    while found[-1]["next"] is not None:
        found.append(client.ask("list_operations", cursor=found[-1]["next"], **fields))
    return found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, ["live", "done"]),
        ({"state": "completed"}, ["done"]),
        ({"state": "queued"}, []),
        ({"operation_type": "proj.*"}, ["live", "done"]),
        ({"operation_type": "proj.add"}, ["done"]),
        ({"operation_type": "PROJ.*"}, []),
        ({"operation_type": "["}, []),
        ({"tag": "red"}, ["done"]),
        ({"tag": "red", "state": "running"}, []),
        ({"state": None, "operation_type": None, "tag": None, "cursor": None}, ["live", "done"]),
    ],
)
def test_list_operations(client, fields, found):
    reply = client.ask("list_operations", **fields)
    assert listed(reply) == found
    assert reply["next"] is None


def test_a_list_comes_in_pages(client, hub):
    for number in range(10):
        write(hub, queued(operation_id=f"op-{number}"))
    found = pages(client, limit=5)
    assert [len(page["operations"]) for page in found] == [5, 5, 2]
    assert len({one for page in found for one in listed(page)}) == 12


def test_a_page_fits_a_frame(client, hub):
    for number in range(60):
        write(hub, progress(0.1, operation_id=f"op-{number}", message="x" * 30_000))
    page = client.ask("list_operations")
    assert 1 < len(page["operations"]) < 60
    assert page["next"] is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "lost"},
        {"state": 7},
        {"state": []},
        {"state": {}},
        {"operation_type": 7},
        {"operation_type": "*" * 201},
        {"tag": ["red"]},
        *({"limit": limit} for limit in (0, -1, 1001, "5", 5.0, True, [])),
        *({"cursor": cursor} for cursor in ("", "-1", "1.5", "x", 7, "9" * 21, "٣")),
    ],
    ids=repr,
)
def test_a_list_that_makes_no_sense(client, fields):
    assert refusal(client.ask("list_operations", **fields)) == "invalid_command"


def test_get_stats(client):
    client.ask("subscribe", operation_id="live")
    stats = client.ask("get_stats")["stats"]
    assert all(type(value) is int for value in stats.values())
    assert stats["connected_clients"] == 1
    assert stats["active_operations"] == 1
    assert stats["total_operations"] == 2
    assert stats["subscriptions"] == 1


@pytest.mark.parametrize("key", [None, KEY])
def test_a_page_of_any_website_gets_the_statistics_of_its_own_connection(hub, key):
    page = Client(hub, key=key, untrusted=True)
    if key is not None:
        assert refusal(page.ask("get_stats")) == "unauthorized"
        page.ask("authenticate", token=token("live"))
    page.ask("subscribe", operation_id="live")
    assert page.ask("get_stats")["stats"] == {
        "connected_clients": 1,
        "active_operations": 1,
        "total_operations": 1,
        "subscriptions": 1,
    }


def test_ping(client):
    reply = client.ask("ping")
    assert (reply["status"], reply["timestamp"]) == ("pong", NOW)


# Tokens.

GUARDED = [
    ("subscribe", {"operation_id": "live"}),
    ("subscribe", {"operation_ids": ["live"]}),
    ("subscribe", {"operation_id": "*"}),
    ("get_operation", {"operation_id": "live"}),
    ("list_operations", {}),
    ("get_stats", {}),
]


@pytest.mark.parametrize(("command", "fields"), GUARDED)
def test_with_a_key_nothing_is_answered_without_a_token(hub, command, fields):
    client = Client(hub, key=KEY)
    assert refusal(client.ask(command, **fields)) == "unauthorized"
    assert client.session.subscribed == set()
    assert not client.session.selectors


@pytest.mark.parametrize(("command", "fields"), GUARDED)
def test_a_token_for_another_operation_grants_statistics_only(hub, command, fields):
    client = Client(hub, key=KEY)
    client.ask("authenticate", token=token("other"))
    reply = client.ask(command, **fields)
    assert "stats" in reply if command == "get_stats" else refusal(reply) == "forbidden"


@pytest.mark.parametrize(("command", "fields"), GUARDED)
def test_a_token_for_everything_grants_everything(hub, command, fields):
    client = Client(hub, key=KEY)
    client.ask("authenticate", token=token("*"))
    assert "error" not in client.ask(command, **fields)


def test_one_that_is_not_granted_refuses_all_of_several(hub):
    client = Client(hub, key=KEY)
    client.ask("authenticate", token=token("live"))
    assert refusal(client.ask("subscribe", operation_ids=["live", "done"])) == "forbidden"
    assert client.session.subscribed == set()


def test_ping_and_unsubscribe_need_no_token(hub):
    client = Client(hub, key=KEY)
    assert client.ask("ping")["status"] == "pong"
    assert client.ask("unsubscribe", operation_id="live")["status"] == "unsubscribed"


def test_authenticate(hub):
    client = Client(hub, key=KEY)
    reply = client.ask("authenticate", token=token("live", lasting=60))
    assert (reply["status"], reply["expires_at"]) == ("authenticated", NOW + 60)
    assert "error" not in client.ask("get_operation", operation_id="live")


def test_authenticate_where_no_token_is_needed(client):
    reply = client.ask("authenticate", token="anything")
    assert (reply["status"], reply["expires_at"]) == ("authenticated", None)


@pytest.mark.parametrize("bad", [None, 7, "", "nonsense", token("live", lasting=-1)])
def test_a_token_that_does_not_hold(hub, bad):
    client = Client(hub, key=KEY)
    reply = client.ask("authenticate", token=bad)
    assert refusal(reply) == "unauthorized"
    assert not bad or str(bad) not in reply["error"]


def test_a_token_may_come_with_the_subscription(hub):
    client = Client(hub, key=KEY)
    reply = client.ask("subscribe", operation_id="live", token=token("live"))
    assert reply["status"] == "subscribed"
    bad = client.ask("subscribe", operation_id="live", token="nonsense")
    assert refusal(bad) == "unauthorized"


@pytest.mark.parametrize(
    ("command", "fields"), [("subscribe", {"operation_id": "*"}), ("list_operations", {})]
)
def test_a_page_exact_only_may_not_see_everything(hub, command, fields):
    client = Client(hub, exact_only=True)
    assert refusal(client.ask(command, **fields)) == "forbidden"
    assert not client.session.selectors


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("subscribe", {"operation_id": "live"}),
        ("get_operation", {"operation_id": "live"}),
        ("get_stats", {}),
    ],
)
def test_a_page_exact_only_may_watch_by_exact_id(hub, command, fields):
    assert "error" not in Client(hub, exact_only=True).ask(command, **fields)


@pytest.mark.parametrize(
    "fields",
    [{"operation_type": "proj.*"}, {"tag": "nightly"}, {"group_id": "g"}, {"root_id": "r"}],
)
def test_subscribe_to_all_of_a_kind(hub, client, fields):
    reply = client.ask("subscribe", **fields)
    assert reply["status"] == "subscribed"
    assert fields.items() <= reply.items()
    chosen = {"operation_type": "proj.add", "tags": ["nightly"], "group_id": "g", "root_id": "r"}
    write(hub, queued(operation_id="new", **chosen), queued(operation_id="another"), writer="x")
    assert client.events() == ["status"]
    assert client.ask("unsubscribe", **fields)["status"] == "unsubscribed"
    write(hub, status("received", operation_id="new"), writer="x")
    assert client.events() == []


def test_selectors_are_bounded_and_need_the_right_to_list(hub, client):
    assert refusal(client.ask("subscribe", tag="x" * 300)) == "invalid_command"
    for number in range(100):
        assert client.ask("subscribe", tag=str(number))["status"] == "subscribed"
    assert refusal(client.ask("subscribe", tag="one more")) == "too_many_subscriptions"
    assert client.ask("subscribe", tag="99")["status"] == "subscribed"
    assert refusal(Client(hub, exact_only=True).ask("subscribe", tag="a")) == "forbidden"
    assert refusal(Client(hub, key=KEY).ask("subscribe", operation_type="*")) == "unauthorized"


def test_get_history(hub, client):
    write(hub, status("started", operation_id="h", metadata={}), progress(0.1, operation_id="h"),
          progress(0.2, operation_id="h"), completed(operation_id="h"), writer="x")  # fmt: skip
    reply = client.ask("get_history", operation_id="h")
    assert reply["complete"] is True
    assert [one["event_type"] for one in reply["events"]] == ["status", "progress", "completed"]
    assert all(one["event_id"] for one in reply["events"])
    reply = client.ask("get_history", operation_id="h", limit=1)
    assert [one["event_type"] for one in reply["events"]] == ["completed"]
    assert reply["complete"] is False
    assert client.ask("get_history", operation_id="unheard")["events"] == []
    assert refusal(client.ask("get_history", operation_id="h", limit=0)) == "invalid_command"
    assert refusal(Client(hub, key=KEY).ask("get_history", operation_id="h")) == "unauthorized"


@pytest.mark.parametrize("replayable", [True, False])
@pytest.mark.parametrize(
    "fields", [{"operation_id": "op-1"}, {"operation_ids": ["op-1"]}, {"tag": "nightly"}]
)
def test_a_subscriber_is_told_whether_the_log_can_be_read_again(hub, fields, replayable):
    assert Client(hub, replayable=replayable).ask("subscribe", **fields)["replayable"] is replayable


def sized(size, **fields):
    """A command of as many bytes, its number last."""
    empty = json.dumps({**fields, "padding": "", "request_id": 7})
    return json.dumps({**fields, "padding": "x" * (size - len(empty)), "request_id": 7})


def grouped(hub):
    """A hub with one more operation, which is of a group, a tag, a type and a root."""
    fields = {"group_id": "g", "root_id": "r", "tags": ["t"], "operation_type": "grp.add"}
    write(hub, queued(at=7.0, operation_id="member", publication="p3", **fields))
    return Client(hub, key=KEY)


SELECTORS = [
    ("group:g", {"group_id": "g"}),
    ("root:r", {"root_id": "r"}),
    ("tag:t", {"tag": "t"}),
    ("type:grp.*", {"operation_type": "grp.*"}),
    ("type:grp.*", {"operation_type": "grp.add"}),
]


@pytest.mark.parametrize(("pattern", "selector"), SELECTORS)
def test_a_token_for_a_pattern_opens_every_path_to_its_operations_and_no_other(
    hub, pattern, selector
):
    client = grouped(hub)
    client.ask("authenticate", token=token(ops=[pattern]))
    assert client.ask("list_operations", **selector)["operations"][0]["operation_id"] == "member"
    for command in ("get_operation", "get_history", "subscribe"):
        assert "error" not in client.ask(command, operation_id="member")
        assert refusal(client.ask(command, operation_id="live")) == "forbidden"
        assert refusal(client.ask(command, operation_id="unheard")) == "forbidden"
    assert client.ask("subscribe", **selector)["status"] == "subscribed"
    for other in ({"operation_id": "*"}, {"tag": "red"}, {"operation_type": "*"}):
        assert refusal(client.ask("subscribe", **other)) == "forbidden"
        if "operation_id" not in other:
            assert refusal(client.ask("list_operations", **other)) == "forbidden"
    assert refusal(client.ask("list_operations")) == "forbidden"


def test_a_token_says_what_it_may_be_used_for(hub):
    client = grouped(hub)
    client.ask("authenticate", token=token(ops=["group:g"], can=["list"]))
    assert client.ask("list_operations", group_id="g")["operations"]
    assert refusal(client.ask("subscribe", group_id="g")) == "forbidden"
    assert refusal(client.ask("get_operation", operation_id="member")) == "forbidden"
    assert refusal(client.ask("get_stats")) == "forbidden"


def test_too_many_tokens_are_named(hub):
    client = grouped(hub)
    globs = [f"type:{number}.*" for number in range(60)]
    assert client.ask("authenticate", token=token(ops=globs))["status"] == "authenticated"
    more = token(ops=[f"type:more.{one}" for one in globs])
    assert refusal(client.ask("authenticate", token=more)) == "too_many_tokens"
    assert "error" not in client.ask("subscribe", operation_type="7.*")


@pytest.mark.parametrize("name", ["ping", "authenticate", "dance"])
def test_a_command_that_is_too_large_is_answered_and_not_taken(client, name):
    largest, larger = (
        client.send(sized(messages.MAX_COMMAND_BYTES + more, command=name))[0] for more in (0, 1)
    )
    assert largest.get("code") != "too_large"
    assert (larger["code"], larger["command"], larger["request_id"]) == ("too_large", name, 7)
    assert f"{messages.MAX_COMMAND_BYTES + 1:,}" in larger["error"]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("é" * messages.MAX_COMMAND_BYTES, "invalid_json"),
        ("[" * (messages.MAX_COMMAND_BYTES + 1), "invalid_command"),
        (json.dumps(["x" * messages.MAX_COMMAND_BYTES]), "invalid_command"),
        (json.dumps({"command": ["x" * messages.MAX_COMMAND_BYTES]}), "too_large"),
    ],
)
def test_what_is_too_large_and_no_command_is_answered_in_few_words(client, frame, code):
    (reply,) = client.send(frame)
    assert (reply["code"], reply["command"]) == (code, None)
    assert len(json.dumps(reply)) < 300


def test_a_token_for_thousands_of_ids_is_taken(hub):
    ids = [f"{number:036}" for number in range(4_900)]
    large = token(*ids)
    client = Client(hub, key=KEY)
    assert client.ask("authenticate", token=large)["status"] == "authenticated"
    assert client.ask("subscribe", operation_id=ids[-1])["status"] == "subscribed"
