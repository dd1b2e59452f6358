"""``serve`` as a process: what it says, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import redis
from celery import Celery
from click.testing import CliRunner
from support.conditions import eventually
from support.ports import free_port
from support.servers import Sentinel
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed

from celery_wsprogress import __version__
from celery_wsprogress.cli import main
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.sockets import reachable_addresses
from celery_wsprogress.worker import apps
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.run_info import RunInfo

PROJECTS = Path(__file__).parent.parent / "projects"
KEY = "a key that is long enough for HS256"
PASSWORD = "hunter2"
OURS = (sys.executable, "-m", "celery_wsprogress")
CELERY = (sys.executable, "-m", "celery", "-A", "tiny", "wsprogress")

#: A broker that refuses every connection: nobody may listen on port 1.
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
UNAVAILABLE_RESULT = f"redis://:{PASSWORD}@localhost:1/0"


def environment(**more):
    """The environment without what would set something."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WSPROGRESS_") and name not in {"WEBSOCKET_PORT", "ENABLE_WEBSOCKET"}
    }
    return {**clean, **more}


def run(*arguments, command=OURS, **variables):
    """Run a command that ends by itself."""
    return subprocess.run(
        [*command, *arguments],
        cwd=PROJECTS,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class Serving:
    """A ``serve`` that goes on until it is told to end."""

    def __init__(self, output, *arguments, command=OURS, folder=PROJECTS, **variables):
        self.stdout, self.stderr = output / "stdout", output / "stderr"
        with self.stdout.open("w") as out, self.stderr.open("w") as err:
            self.process = subprocess.Popen(
                [*command, "serve", *arguments],
                cwd=folder,
                env=environment(**variables),
                stdout=out,
                stderr=err,
            )

    def wait_for(self, pattern):
        """Wait until it has said this, on either stream."""

        def look():
            found = re.search(pattern, self.output)
            assert found or self.process.poll() is None, self.output
            return found

        return eventually(look, timeout=60, what=pattern)

    @property
    def output(self):
        return self.stdout.read_text() + self.stderr.read_text()

    @property
    def port(self):
        return int(self.wait_for(r"started on ws://\S+:(\d+)\n")[1])

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


@pytest.fixture
def serving(tmp_path):
    """Start a ``serve``; it does not outlive the test."""
    started = []

    def start(*arguments, **how):
        started.append(Serving(tmp_path, *arguments, **how))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait(timeout=60)


def refused(done, *words):
    """It ended with an error that says this, and without a traceback."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert [word for word in words if word not in last] == [], last
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stderr


# What ends by itself.


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_help_lists_the_commands(command):
    done = run("--help", command=command)
    assert done.returncode == 0
    assert re.search(r"serve +Serve live progress", done.stdout)


def test_help_of_serve_names_every_setting():
    done = run("serve", "--help")
    assert done.returncode == 0
    for name in ServeSettings.__dataclass_fields__:
        option = {
            "url": "broker",
            "url_file": "broker-file",
            "origins": "origin",
            "hosts": "allow-host",
            "trusted_proxies": "trusted-proxy",
            "transport_options": "broker-option",
            "public_keys": "public-key",
            "token_issuers": "token-issuer",
            "token_audiences": "token-audience",
        }.get(name, name)
        secret = name in {"key", "keys"}
        shown = f"WSPROGRESS_{name.upper()}" if secret else f"--{option.replace('_', '-')}"
        assert shown in done.stdout, name
    for word in ("-A", "WEBSOCKET_PORT", "ENABLE_WEBSOCKET", "8765"):
        assert word in done.stdout


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"celery-wsprogress, version {__version__}\n")


@pytest.mark.parametrize("port", ["abc", "65536", "-1"])
@pytest.mark.parametrize("where", ["option", "WSPROGRESS_PORT", "WEBSOCKET_PORT"])
def test_a_bad_port_is_named_wherever_it_comes_from(where, port):
    if where == "option":
        done = run("serve", "--broker", UNAVAILABLE_RESULT, f"--port={port}")
    else:
        done = run("serve", "--broker", UNAVAILABLE_RESULT, **{where: port})
    refused(done, "wsprogress_port", f"'{port}'", "from 0 to 65535")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WSPROGRESS_HEARTBEAT": "0"}, ["wsprogress_heartbeat is '0'", "from 1 to 600"]),
        ({"WSPROGRESS_INSECURE": "maybe"}, ["wsprogress_insecure is 'maybe'", "true or false"]),
        ({"WSPROGRESS_KEY": PASSWORD}, ["wsprogress_key is '(hidden)'", "at least 32 bytes"]),
        ({"ENABLE_WEBSOCKET": "maybe"}, ["ENABLE_WEBSOCKET is 'maybe'", "true or false"]),
        ({"WSPROGRESS_LOG_LEVEL": "loud"}, ["--log-level", "'loud'", "'warning'"]),
    ],
    ids=repr,
)
def test_a_bad_value_in_the_environment_is_named(variables, words):
    refused(run("serve", "--broker", UNAVAILABLE_RESULT, **variables), *words)


@pytest.mark.parametrize("url", ["flower.example", f"https://admin:{PASSWORD}@flower.example"])
def test_an_address_of_flower_that_is_none(url):
    done = run("serve", "--broker", UNAVAILABLE_RESULT, "--flower-url", url)
    refused(done, "wsprogress_flower_url", "http or https", "without a password")


@pytest.mark.parametrize("value", ["false", "0", "No"])
def test_enable_websocket_false_says_so_and_is_no_error(value):
    done = run("serve", "--broker", UNAVAILABLE_RESULT, ENABLE_WEBSOCKET=value)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ENABLE_WEBSOCKET is false: not serving\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_a_public_address_without_a_key_is_refused_with_what_helps(host):
    done = run("serve", "--broker", UNAVAILABLE_RESULT, "--host", host)
    refused(done, "wsprogress_host", host, "WSPROGRESS_KEY", "--insecure")


def test_everything_for_everyone_is_refused_with_a_key():
    done = run(
        "serve", "--broker", UNAVAILABLE_RESULT, "--monitor-unsubscribed", WSPROGRESS_KEY=KEY
    )
    refused(done, "wsprogress_monitor_unsubscribed", "off once a key is set")
    assert KEY not in done.stderr


@pytest.mark.parametrize("number", ["0", "-1", "257", "two", "1.5"])
def test_a_number_of_processes_that_is_none(number):
    done = run("serve", "--broker", UNAVAILABLE_RESULT, f"--processes={number}")
    refused(done, "wsprogress_processes", f"'{number}'", "from 1 to 256")


def test_several_processes_are_refused_as_one_is_and_once():
    done = run("serve", "--broker", UNAVAILABLE_RESULT, "--processes", "2", "--host", "0.0.0.0")
    refused(done, "wsprogress_host", "WSPROGRESS_KEY")
    assert done.stderr.count("Error") == 1


def test_several_processes_need_a_broker_that_tells_all_of_them(tmp_path):
    pytest.importorskip("sqlalchemy")
    url = f"sqla+sqlite:///{tmp_path / 'events.db'}"
    done = CliRunner().invoke(main, ["serve", "--broker", url, "--processes", "2"])
    assert done.exit_code == 2
    assert "wsprogress_processes is 2, but must be 1 on this broker" in done.stderr


@pytest.mark.parametrize("option", ["--processes=1", "--processes=2"])
def test_a_port_in_use_is_the_same_line_for_any_number_of_processes(option):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        done = run("serve", "--broker", UNAVAILABLE_RESULT, "--port", str(port), option)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: Port {port} on localhost is in use; choose another one with --port\n"
    )


def test_without_an_application_or_a_broker():
    refused(run("serve"), "-A", "--broker")


@pytest.mark.parametrize(
    "app", ["nowhere", "nowhere.at.all", "tiny:nothing", "tiny:helper", "tiny:add", "os", ".", ""]
)
def test_an_application_that_is_none(app):
    refused(run("serve", "-A", app), "-A", "Celery application", repr(app))


def test_an_application_that_is_none_in_the_environment():
    refused(run("serve", WSPROGRESS_APP="nowhere"), "-A", "Celery application", "'nowhere'")


def test_a_broker_that_kombu_does_not_know():
    done = run("serve", "--broker", f"nonsense://user:{PASSWORD}@x")
    refused(done, "nonsense://user:**@x", "a broker URL that kombu knows")


def test_a_command_that_is_none():
    refused(run("dance"), "No such command 'dance'")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_port_in_use_is_one_line(host):
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        done = run("serve", "--broker", UNAVAILABLE_RESULT, "--host", host, "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: Port {port} on {host} is in use; choose another one with --port\n"
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "a..b"])
def test_a_host_that_is_not_ours_is_one_line(host):
    done = run("serve", "--broker", UNAVAILABLE_RESULT, "--host", host, "--insecure", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"Error: Cannot listen on {re.escape(host)}, port 0: .+\n", done.stderr)


# What goes on until it is told to end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_though_the_broker_is_away_and_ends_when_told(serving, number):
    served = serving("--broker", UNAVAILABLE_RESULT, "--port", "0")
    served.wait_for(r"The broker redis://:\*\*@localhost:1/0 is away")
    with urllib.request.urlopen(f"http://localhost:{served.port}/status", timeout=30) as response:
        assert response.status == 200
    with socket.create_connection(("localhost", served.port)) as held:
        held.sendall(HANDSHAKE)
        assert served.end(number) == 0
        assert b"503 Service Unavailable" in held.recv(10_000)
    assert served.stdout.read_text() == (
        f"WebSocket server started on ws://localhost:{served.port}\n"
        "Broker: redis://:**@localhost:1/0\n"
        f"Dashboard: http://localhost:{served.port}/\n"
        f"Status: curl http://localhost:{served.port}/status\n"
        "Stopping\n"
    )
    # One line for a broker that is away.
    assert len(beside_the_limit(served)) == 1
    assert "Traceback" not in served.output
    assert PASSWORD not in served.output


def beside_the_limit(served):
    """The lines of its log, without how many files each process may open."""
    lines = served.stderr.read_text().splitlines()
    found = [one for one in lines if not re.search("At most \\d+ connections: this process", one)]
    assert len(found) < len(lines)
    return found


def is_free(port):
    """Whether nobody listens there any more."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def silent(port):
    """A client that does not even answer that the connection is closed."""
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        received = b""
        while b"connected" not in received:
            received += one.recv(65_536)
        yield


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_second_signal_ends_it_at_once(serving, redis_server, second, processes):
    served = serving("--broker", redis_server.url, "--port", "0", "--processes", processes)
    with silent(served.port):
        served.process.send_signal(signal.SIGTERM)
        served.wait_for(r"Stopping\n")
        assert served.end(second) == -second
        eventually(lambda: is_free(served.port))
    assert "Traceback" not in served.output


def test_it_stops_over_a_time_and_everyone_is_told_when_to_come_back(serving, redis_server):
    served = serving("--broker", redis_server.url, "--port", "0", "--drain", "1")
    with ExitStack() as stack:
        clients = [
            stack.enter_context(connect(f"ws://localhost:{served.port}", compression=None))
            for _ in range(50)
        ]
        for one in clients:
            assert '"connected"' in one.recv(timeout=30)
        served.process.send_signal(signal.SIGTERM)
        told = []
        for one in clients:
            with pytest.raises(ConnectionClosed) as closed:
                one.recv(timeout=30)
            told.append(closed.value.rcvd)
        assert served.process.wait(60) == 0
    assert {one.code for one in told} == {1012}
    waits = {json.loads(one.reason)["retry_ms"] for one in told}
    assert len(waits) > 10, "they do not come back together either"


def test_it_reads_from_a_broker(serving, redis_server):
    served = serving("--broker", redis_server.url, "--port", "0")
    served.wait_for(r"Connected to the broker redis://")
    # Who is let in is let in to one that has read the log.
    with connect(f"ws://localhost:{served.port}", compression=None):
        pass
    with urllib.request.urlopen(f"http://localhost:{served.port}/readyz", timeout=30) as response:
        assert response.status == 200
    assert served.end(signal.SIGTERM) == 0


def test_celerys_own_command_takes_celerys_own_application(serving):
    served = serving("--port", "0", command=CELERY)
    served.wait_for(r"The broker redis://user:\*\*@localhost:1/0 is away")
    assert served.port
    assert served.end(signal.SIGINT) == 0
    assert PASSWORD not in served.output


FROM_ABOVE = (*OURS[:1], "-m", "celery", "--workdir", "projects", *CELERY[3:])


@pytest.mark.parametrize(
    ("command", "folder", "user"),
    [(OURS, PROJECTS, ""), (CELERY, PROJECTS, "user"), (FROM_ABOVE, PROJECTS.parent, "user")],
    ids=["ours", "celery", "celery from another folder"],
)
def test_it_says_how_many_processes_serve(serving, command, folder, user):
    broker = ("--broker", UNAVAILABLE_RESULT) if command is OURS else ()
    served = serving(
        *broker, "--port", "0", command=command, folder=folder, WSPROGRESS_PROCESSES="2"
    )
    served.wait_for(r"Status: .*\n")
    # Each of them has its own word about the broker, with its process id.
    eventually(lambda: len(re.findall(r" \[\d+\] The broker .* is away", served.output)) == 2)
    assert served.end(signal.SIGINT) == 0
    assert served.stdout.read_text() == (
        f"WebSocket server started on ws://localhost:{served.port}\n"
        "Processes: 2\n"
        f"Broker: redis://{user}:**@localhost:1/0\n"
        f"Dashboard: http://localhost:{served.port}/\n"
        f"Status: curl http://localhost:{served.port}/status\n"
        "Stopping\n"
    )
    assert len(beside_the_limit(served)) == 2
    assert PASSWORD not in served.output


@pytest.mark.parametrize("app", ["tiny", "tiny:app"])
def test_an_application_is_found_in_the_folder_one_stands_in(serving, app):
    served = serving("-A", app, "--port", "0")
    served.wait_for(r"Broker: redis://user:\*\*@localhost:1/0\n")


def test_another_broker_than_the_applications(serving):
    served = serving("-A", "tiny", "--broker", "redis://elsewhere.invalid/7", "--port", "0")
    served.wait_for(r"Broker: redis://elsewhere.invalid/7\n")


def test_the_environment_sets_what_options_do_not(serving):
    port, other = free_port(), free_port()
    variables = {
        "WSPROGRESS_BROKER": UNAVAILABLE_RESULT,
        "WEBSOCKET_PORT": "1",
        "WSPROGRESS_HOST": "127.0.0.1",
    }
    served = serving("--port", str(port), WSPROGRESS_PORT=str(other), **variables)
    served.wait_for(rf"started on ws://127.0.0.1:{port}\n")


def test_a_public_address_with_a_key(serving):
    served = serving(
        "--broker", UNAVAILABLE_RESULT, "--host", "0.0.0.0", "--port", "0", WSPROGRESS_KEY=KEY
    )
    assert served.port
    assert KEY not in served.output
    assert "Without a key" not in served.output


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (
            "--insecure",
            "anyone who reaches it may list and watch every operation, results included",
        ),
        ("--exact-only", "anyone who reaches it may watch every operation whose id they know"),
    ],
)
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_public_address_without_a_key_says_what_that_means(serving, option, sentence, processes):
    how = ("--host", "0.0.0.0", "--port", "0", option, "--processes", processes)
    served = serving("--broker", UNAVAILABLE_RESULT, *how)
    served.wait_for(re.escape(f"Without a key on a public address: {sentence}"))
    assert served.output.count("Without a key") == 1
    others = reachable_addresses("0.0.0.0")
    for one in others:
        assert f"ws://{one}:{served.port}" in served.output
        with socket.create_connection((one, served.port), timeout=30):
            pass
    assert ("every address of this machine" in served.output) == bool(others)


def test_who_is_refused_is_in_the_log_with_the_option_that_helps(serving):
    served = serving("--broker", UNAVAILABLE_RESULT, "--port", "0")
    for name, value in (("Host", "progress.example"), ("Origin", "https://app.example\x9b2J")):
        request = urllib.request.Request(f"http://127.0.0.1:{served.port}/element.js")
        request.add_header(name, value)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=30)
    served.wait_for("host name progress.example; --allow-host progress.example would let it in")
    served.wait_for(r"origin https://app.example\\x9b2J\n")


@pytest.mark.parametrize(
    ("broker", "why"),
    [
        ("sentinel://:hunter2@localhost:1", "master_name"),
    ],
)
def test_a_broker_url_that_is_none_is_named_and_explained(serving, broker, why):
    served = serving("--broker", broker, "--port", "0")
    served.wait_for(rf"broker URL is .*{why}")
    assert "Traceback" not in served.output
    assert PASSWORD not in served.output


def test_a_sentinel_with_a_password_and_a_prefix_of_keys(serving, redis_server):
    """What ``--broker`` and ``wsprogress_url`` need beside the URL, on both sides."""
    redis_server.clear()
    options = {
        "master_name": "events",
        "global_keyprefix": "shop:",
        "sentinel_kwargs": {"password": PASSWORD},
    }
    with Sentinel(redis_server.port, PASSWORD) as sentinel:
        served = serving(
            "--broker", sentinel.url, "--port", "0",
            "--broker-option", "master_name=events",
            "--broker-option", "global_keyprefix=shop:",
            "--broker-option", f"sentinel_kwargs.password={PASSWORD}",
        )  # fmt: skip
        served.wait_for(r"Connected to the broker sentinel://127\.0\.0\.1")
        app = Celery("shop", broker="memory://", set_as_current=False)
        app.conf.update(wsprogress_url=sentinel.url, wsprogress_transport_options=options)
        apps.publishing_of(app).publisher.emit(
            (encoded_events.completed(RunInfo("op-1", "demo", "r1"), 1.0),)
        )
        url = f"http://localhost:{served.port}/operations/op-1"

        def told():
            try:
                with urllib.request.urlopen(url, timeout=30) as reply:
                    return json.load(reply)["operation"]["state"] == "completed"
            except urllib.error.HTTPError:
                return False

        eventually(told, what="an event that came by the sentinel")
    with redis.Redis(port=redis_server.port) as client:
        assert set(client.keys()) == {b"shop:celery_wsprogress", b"shop:celery_wsprogress.epoch"}
    assert PASSWORD not in served.output


def test_a_bad_option_of_a_broker_is_named_and_not_shown(serving):
    done = run("serve", "--broker", UNAVAILABLE_RESULT, "--broker-option", PASSWORD)
    assert done.returncode == 2
    assert "wsprogress_transport_options is '(hidden)', but must be" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout


# Django.

DJANGO = PROJECTS / "django_project"


@pytest.mark.parametrize("results", ["django-db", "django-cache"])
@pytest.mark.parametrize(
    "command", [(*OURS, "serve", "-A", "proj"), (*OURS, "serve", "-A", "proj.celery:app"),
                (sys.executable, "-m", "celery", "-A", "proj", "wsprogress", "serve")],
    ids=lambda command: " ".join(command[2:]),
)  # fmt: skip
def test_results_in_a_database_or_cache_of_django(serving, redis_server, results, command):
    serve = command.index("serve")
    options = (*command[serve + 1 :], "--port", "0")
    variables = {"BROKER_URL": redis_server.url, "RESULT_BACKEND": results}
    one = serving(*options, command=command[:serve], folder=DJANGO, **variables)
    assert one.port
    assert "cannot be asked" not in one.output
    assert one.end(signal.SIGTERM) == 0


def test_tasks_that_cannot_be_imported_are_one_line_and_are_served(serving, redis_server):
    variables = {"BROKER_URL": redis_server.url, "BROKEN_TASKS": "1"}
    one = serving("-A", "proj", "--port", "0", folder=DJANGO, **variables)
    assert one.port
    said = "tasks of the application cannot be imported (RuntimeError: \\x1b[31mno such thing)"
    assert said in one.output
    assert "Traceback" not in one.output


def test_settings_of_django_that_cannot_be_read_are_one_line():
    done = subprocess.run(
        [*OURS, "serve", "-A", "proj"],
        cwd=DJANGO,
        env=environment(BROKER_URL=UNAVAILABLE_RESULT, DJANGO_SETTINGS_MODULE="nowhere.settings"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    refused(done, "settings cannot be read", "No module named 'nowhere'")


# Settings that start and should not, or are nobody's.


def test_the_links_of_a_service_of_kubernetes_neither_stop_it_nor_are_said(serving):
    links = {
        "WSPROGRESS_PORT": "tcp://10.0.0.7:8765",
        "WSPROGRESS_SERVICE_HOST": "10.0.0.7",
        "WSPROGRESS_PORT_8765_TCP_ADDR": "10.0.0.7",
        "WEBSOCKET_PORT": "tcp://10.0.0.7:8765",
    }
    one = serving("--broker", UNAVAILABLE_RESULT, "--port", "0", **links)
    assert one.port
    assert "no setting" not in one.output


def test_settings_nobody_reads_are_said_once_by_several_processes(serving):
    variables = {"WSPROGRESS_PROT": "9000", "WSPROGRESS_LOST_AFTER": "5"}
    one = serving("--broker", UNAVAILABLE_RESULT, "--port", "0", "--processes", "2", **variables)
    assert one.port
    assert one.output.count("WSPROGRESS_PROT is no setting") == 1
    assert "was WSPROGRESS_PORT meant?" in one.output
    assert one.output.count("wsprogress_lost_after is 5") == 1
    assert "at least three times the wsprogress_sign_interval of the workers (10)" in one.output


def test_the_interval_of_the_workers_is_that_of_the_configuration(serving):
    variables = {"WSPROGRESS_SIGN_INTERVAL": "1", "WSPROGRESS_LOST_AFTER": "5"}
    one = serving("--broker", UNAVAILABLE_RESULT, "--port", "0", **variables)
    assert one.port
    assert "wsprogress_lost_after is" not in one.output


@pytest.mark.parametrize(
    "broker", ["redis://localhost/abc", "redis://localhost/-1", "redis://a/0;redis://b/x",
               "redis://localhost:99999/0", "redis://localhost/0?nothing=1"]
)  # fmt: skip
def test_an_address_that_never_works_ends_it_at_once(broker):
    refused(run("serve", "--broker", broker), "broker URL is")


def test_a_database_number_is_asked_for_without_the_password():
    broker = f"redis://user:{PASSWORD}@localhost:1/zero"
    refused(run("serve", "--broker", broker), "a database number")
