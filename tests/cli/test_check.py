"""``check``: what it says where all is well, and the sentence for each planted mistake."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from support.clocks import Clock
from support.ports import free_port
from support.programs import OURS, run, terminal
from support.sidecars import SidecarThread
from support.terminals import COLUMNS
from support.workers import Worker

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.sidecar import welcome

KEY = "a key that is long enough for HS256"
CELERY = (sys.executable, "-m", "celery", "-A", "checked", "wsprogress")

#: Seconds for each part: a limit for what answers, on a machine that is very busy.
PATIENT = ("--timeout", "60")
#: For what never answers.
BRIEF = ("--timeout", "4")
#: For what never comes, where the rest has to answer.
LONGER = ("--timeout", "12")


class Place(NamedTuple):
    """What is right."""

    broker: str
    sidecar: SidecarThread

    def check(self, *options, command=CELERY, **variables):
        """Run the command; return its exit code, and what it found by part."""
        right = {
            "BROKER_URL": self.broker,
            "RESULT_BACKEND": self.broker,
            "WSPROGRESS_WS_URL": self.sidecar.url,
        }
        done = run("check", "--json", *options, command=command, **{**right, **variables})
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, {
            one["part"]: f"{one['verdict']}: {one['text']} [{one['advice']}]" for one in found
        }


@pytest.fixture(scope="module")
def place(redis_server):
    redis_server.clear()
    with ExitStack() as stack:
        stack.enter_context(Worker("checked", broker=redis_server.url, pool="solo", concurrency=1))
        sidecar = stack.enter_context(SidecarThread(BrokerAddress(redis_server.url)))
        yield Place(redis_server.url, sidecar)


@pytest.fixture(scope="module")
def rabbitmq_place(rabbitmq_server):
    rabbitmq_server.clear()
    rabbitmq_server.control("add_vhost", "empty")
    rabbitmq_server.control("set_permissions", "-p", "empty", "guest", ".*", ".*", ".*")
    url = rabbitmq_server.url
    with ExitStack() as stack:
        stack.enter_context(Worker("checked", broker=url, pool="solo", concurrency=1))
        yield Place(url, stack.enter_context(SidecarThread(BrokerAddress(url))))
    rabbitmq_server.control("delete_vhost", "empty")


@pytest.mark.parametrize(
    ("command", "options"), [(CELERY, ()), (OURS, ("-A", "checked"))], ids=["celery", "ours"]
)
def test_everything_works(place, command, options):
    code, found = place.check(*options, *PATIENT, command=command)
    assert set(found) == {
        "configuration", "broker", "result backend", "sidecar", "access", "way of an event",
        "workers",
    }  # fmt: skip
    assert {text.partition(":")[0] for text in found.values()} == {"ok"}, found
    assert "one task is followed, checked.followed" in found["workers"]
    assert code == 0


def test_everything_works_on_rabbitmq(rabbitmq_place):
    code, found = rabbitmq_place.check(*PATIENT, RESULT_BACKEND="rpc://")
    verdicts = {part: text.partition(":")[0] for part, text in found.items()}
    del verdicts["result backend"]
    assert set(verdicts.values()) == {"ok"}, found
    assert (len(verdicts), code) == (6, 0)


def test_another_virtual_host_than_those_of_sidecar_and_worker(rabbitmq_place):
    code, found = rabbitmq_place.check(
        *LONGER, RESULT_BACKEND="", BROKER_URL=f"{rabbitmq_place.broker[:-1]}empty"
    )
    assert found["broker"].startswith("ok"), found
    assert "with the same broker (and virtual host)" in found["way of an event"]
    assert "none has answered" in found["workers"]
    assert code == 1


def test_an_exchange_of_another_type(rabbitmq_place, rabbitmq_server):
    with rabbitmq_server.connect() as connection:
        channel = connection.channel()
        channel.exchange_declare("by_key", "direct", durable=True, auto_delete=False)
        _, found = rabbitmq_place.check(*BRIEF, RESULT_BACKEND="", CHECKED_EXCHANGE="by_key")
        channel.exchange_delete("by_key")
        for queue in ("by_key.log", "by_key.epochs"):
            channel.queue_delete(queue)
    assert found["broker"].startswith("warning: The exchange by_key exists with other arguments")


def test_a_wrong_password_for_rabbitmq(rabbitmq_place):
    wrong = rabbitmq_place.broker.replace("guest@", "hunter2@")
    code, found = rabbitmq_place.check(*PATIENT, RESULT_BACKEND="", BROKER_URL=wrong)
    assert "refuses user or password" in found["broker"]
    assert found["way of an event"].startswith("skipped")
    assert found["workers"].startswith("skipped")
    assert "hunter2" not in str(found)
    assert code == 1


def test_what_a_person_reads(place):
    variables = {
        "BROKER_URL": place.broker,
        "RESULT_BACKEND": "",
        "WSPROGRESS_WS_URL": place.sidecar.url,
        "NO_COLOR": "1",
    }
    with terminal("check", *PATIENT, command=CELERY, **variables) as screen:
        assert screen.wait() == 0
    lines = [line for line in screen.screen if line]
    assert lines[0].startswith("ok       configuration    the settings of workers and sidecar")
    assert any(line.startswith("warning  result backend   there is none") for line in lines)
    assert lines[-1] == "1 warning"
    assert "\x1b" not in screen.output


def test_in_a_narrow_terminal_lines_are_broken_between_words(place):
    variables = {"BROKER_URL": place.broker, "WSPROGRESS_WS_URL": f"ws://127.0.0.1:{free_port()}"}
    with terminal("check", *PATIENT, command=CELERY, **variables) as screen:
        assert screen.wait() == 1
    assert "\x1b[31mFAILED" in screen.output
    lines = [line for line in screen.screen if line]
    assert [line for line in lines if len(line) >= COLUMNS] == []
    told = lines.index(next(line for line in lines if line.startswith("FAILED   sidecar")))
    assert lines[told + 1].startswith(" " * 26 + "Start it there")


# Planted mistakes: each is named by the part that it is of, and by the exit code.


def planted(place, part, *words, options=PATIENT, code=1, **variables):
    """With these variables the command names the mistake."""
    returned, found = place.check(*options, **variables)
    assert [word for word in words if word not in found[part]] == [], found
    assert found[part].startswith("warning" if code == 0 else "failed"), found
    assert returned == code, found


def test_a_port_where_no_broker_listens(place):
    wrong = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    words = ("nothing listens at redis://", "Check host and port")
    planted(place, "broker", *words, BROKER_URL=wrong)


def test_a_host_that_is_unknown(place):
    planted(place, "broker", "the host of", "is unknown", BROKER_URL="redis://nowhere.invalid/0")


def test_a_wrong_password(place):
    wrong = place.broker.replace("redis://", "redis://somebody:hunter2@")
    returned, found = place.check(*PATIENT, BROKER_URL=wrong)
    assert "refuses user or password" in found["broker"]
    assert found["workers"].startswith("skipped")
    assert "hunter2" not in str(found)
    assert returned == 1


def test_a_server_that_evicts_keys(place, make_redis):
    evicting = make_redis(options={"maxmemory": "1gb", "maxmemory-policy": "allkeys-lru"})
    _, found = place.check(*BRIEF, BROKER_URL=evicting.url)
    assert found["broker"].startswith("warning: The Redis server evicts keys")
    assert "maxmemory-policy allkeys-lru" in found["broker"]


def test_a_transport_that_kombu_does_not_know(place):
    planted(place, "broker", "did you mean redis://", BROKER_URL="valkey://127.0.0.1/0")


def test_a_setting_that_is_not_allowed(place):
    words = ("wsprogress_progress_interval is 'often'",)
    planted(place, "configuration", *words, WSPROGRESS_PROGRESS_INTERVAL="often")


def test_a_setting_that_nothing_reads(place):
    words = ("WSPROGRESS_EXCHANG", "WSPROGRESS_EXCHANGE")
    planted(place, "configuration", *words, code=0, WSPROGRESS_EXCHANG="shop")


def test_events_that_are_switched_off(place):
    words = ("wsprogress_enabled is false",)
    planted(place, "configuration", *words, WSPROGRESS_ENABLED="false")


def test_a_log_that_is_too_small(place):
    words = ("wsprogress_log_bytes is 1,000,000: the log holds little",)
    planted(place, "configuration", *words, code=0, WSPROGRESS_LOG_BYTES="1000000")


def test_no_result_backend(place):
    planted(place, "result backend", "there is none", code=0, RESULT_BACKEND="")


def test_a_result_backend_that_does_not_answer(place):
    wrong = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    planted(place, "result backend", "cannot be asked", "redis://", RESULT_BACKEND=wrong)


def test_no_sidecar(place):
    words = ("nothing listens there", "wsprogress serve")
    planted(place, "sidecar", *words, WSPROGRESS_WS_URL=f"ws://127.0.0.1:{free_port()}")


def test_something_else_in_the_place_of_the_sidecar(place, redis_server):
    wrong = f"ws://127.0.0.1:{redis_server.port}"
    returned, found = place.check(*BRIEF, WSPROGRESS_WS_URL=wrong)
    assert found["sidecar"].startswith("failed")
    assert returned == 1


def test_a_sidecar_whose_broker_is_away(place):
    nowhere = BrokerAddress(f"redis://127.0.0.1:{free_port()}/0")
    with SidecarThread(nowhere, wait=False) as sidecar:
        returned, found = place.check(*BRIEF, WSPROGRESS_WS_URL=sidecar.url)
    assert "cannot read its broker" in found["sidecar"] or "does not answer" in found["sidecar"]
    assert returned == 1


def test_a_sidecar_of_another_broker(place, make_redis):
    with SidecarThread(BrokerAddress(make_redis().url)) as sidecar:
        words = ("did not reach the sidecar", "with the same broker")
        planted(place, "way of an event", *words, options=LONGER, WSPROGRESS_WS_URL=sidecar.url)


def test_another_exchange(place):
    returned, found = place.check(*LONGER, CHECKED_EXCHANGE="other")
    for words in ("exchange other", "did not reach the sidecar", "wsprogress_exchange"):
        assert words in found["way of an event"]
    assert "writes to the exchange celery_wsprogress, and not to other" in found["workers"]
    assert returned == 1


def test_the_key_is_missing_here(place):
    with SidecarThread(BrokerAddress(place.broker), key=KEY) as sidecar:
        words = ("it wants a token", "Set WSPROGRESS_KEY")
        planted(place, "access", *words, WSPROGRESS_WS_URL=sidecar.url)


def test_the_key_is_another_one(place):
    with SidecarThread(BrokerAddress(place.broker), key=KEY) as sidecar:
        returned, found = place.check(
            *PATIENT, WSPROGRESS_WS_URL=sidecar.url, WSPROGRESS_KEY="x" * 40
        )
    assert found["access"].startswith("failed: it refuses the token")
    assert found["way of an event"].startswith("skipped")
    assert returned == 1


def test_the_sidecar_has_no_key(place):
    planted(place, "access", "it takes everyone", code=0, WSPROGRESS_KEY=KEY)


def test_a_clock_that_is_off(place, monkeypatch):
    clock = Clock()
    clock.ahead = 600
    monkeypatch.setattr(welcome, "time", clock)
    planted(place, "sidecar", "its clock is", "ahead of the one", "NTP", code=0)


def test_no_worker(place, make_redis):
    url = make_redis().url
    with SidecarThread(BrokerAddress(url)) as sidecar:
        variables = {"BROKER_URL": url, "WSPROGRESS_WS_URL": sidecar.url}
        planted(place, "workers", "none has answered", options=BRIEF, **variables)


def test_a_worker_without_followed_tasks(place, make_redis):
    url = make_redis().url
    with (
        Worker(
            "checked", broker=url, pool="solo", concurrency=1,
            environment={"CHECKED_UNFOLLOWED": "1"},
        ),
        SidecarThread(BrokerAddress(url)) as sidecar,
    ):  # fmt: skip
        words = ("no task of theirs is followed", "base=StreamingTask")
        planted(place, "workers", *words, BROKER_URL=url, WSPROGRESS_WS_URL=sidecar.url)


def test_without_an_application(place):
    done = run("check", *PATIENT, "--url", place.sidecar.url)
    assert done.returncode == 0
    assert "skipped  workers          name the application with -A" in done.stdout
