"""Every transport that kombu lists: it carries the events, or one sentence says what is missing."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import metadata

import kombu
import pytest
from click.testing import CliRunner
from conftest import skip_or_fail
from kombu.transport import TRANSPORT_ALIASES
from support.conditions import eventually
from support.event_log import batches, publish, read_until
from support.ports import free_port
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress, open_reader, open_writer, prepare
from celery_wsprogress.brokers.transports import DRIVERS, module_of, transport_of
from celery_wsprogress.cli import main
from celery_wsprogress.errors import ConfigurationError

WITHOUT_LIBRARIES = """
import json, sys
from celery_wsprogress.brokers import BrokerAddress, prepare
from celery_wsprogress.brokers.transports import DRIVERS

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name in {one.partition(".")[0] for driver in DRIVERS.values() for one in driver.modules}:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Nothing())
said = {}
for name in json.loads(sys.argv[1]):
    try:
        prepare(BrokerAddress(f"{name}://user:secret@localhost:1/"))
    except Exception as exc:
        said[name] = f"{type(exc).__name__}: {exc}"
    else:
        said[name] = ""
print(json.dumps(said))
"""


def refusal(url):
    """What is said of a URL before anything is connected to."""
    with pytest.raises(ConfigurationError) as caught:
        prepare(BrokerAddress(url))
    return str(caught.value)


@pytest.mark.skipif(kombu.VERSION < (5, 7), reason="older ones have fewer")
def test_every_transport_of_kombu_is_known():
    assert set(DRIVERS) == set(TRANSPORT_ALIASES)


def test_without_its_library_each_ends_in_one_sentence_that_names_the_package():
    names = list(TRANSPORT_ALIASES)
    run = [sys.executable, "-c", WITHOUT_LIBRARIES, json.dumps(names)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    for name, said in json.loads(done.stdout).items():
        driver = DRIVERS[name]
        if name == "sentinel":
            # Its library is there; what it lacks is the name of a master.
            assert "master_name" in said
            continue
        if not driver.modules:
            assert said == "", name
            continue
        assert said.startswith(f"ConfigurationError: broker URL is '{name}://user:**@localhost:1/'")
        assert f"pip install '{driver.package}'" in said
        assert all(module in said for module in driver.modules)
        assert "secret" not in said


@pytest.mark.skipif(kombu.VERSION < (5, 7), reason="older ones have fewer")
def test_the_packages_are_kombus_own():
    extras = metadata("kombu").get_all("Provides-Extra")
    for driver in DRIVERS.values():
        if driver.package.startswith("kombu["):
            assert driver.package[len("kombu[") : -1] in extras


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("reddis://:secret@host/0", "did you mean redis://"),
        ("rabbitmq://user:secret@host", "did you mean amqp://"),
        ("AMPQ://user:secret@host", "did you mean amqp://"),
        ("SQLA+mysql://user:secret@host", "did you mean sqla://"),
        ("postgresql://user:secret@host/db", "did you mean sqla+postgresql://"),
        ("valkey://:secret@host", "did you mean redis://"),
        ("https://user:secret@host/", "a broker URL that kombu knows: redis://"),
        ("://secret", "a broker URL that kombu knows"),
        ("redis://:secret@host/0;amqp://host", "of one kind"),
        ("redis://:secret@host/0;reddis://host", "did you mean redis://"),
    ],
)
def test_an_unknown_scheme_is_refused_with_the_one_that_was_meant(url, sentence):
    said = refusal(url)
    assert sentence in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("url", "transport", "module"),
    [
        ("redis+socket:///x", "redis", "redis.stream"),
        ("REDIS://host", "redis", "redis.stream"),
        ("sqla+sqlite:///x", "sqla", "exchange"),
        ("host:5672", "amqp", "amqp.stream"),
        ("amqp://a;amqps://b", "amqp", "amqp.stream"),
    ],
)
def test_a_url_is_read_as_kombu_reads_it(url, transport, module):
    assert (transport_of(url), module_of(url)) == (transport, module)


@pytest.mark.parametrize("url", ["memory://", "sqla+sqlite://", "sqla+sqlite:///:memory:"])
def test_a_server_of_its_own_refuses_what_is_in_one_process_only(url):
    done = CliRunner().invoke(main, ["serve", "--broker", url])
    assert done.exit_code == 2
    assert (
        f"broker URL is '{url}', but must be a broker that other processes can reach" in done.output
    )


def test_a_database_carries_the_events(tmp_path):
    pytest.importorskip("sqlalchemy")
    address = BrokerAddress(f"sqla+sqlite:///{tmp_path / 'events.db'}", {"echo": False})
    prepare(address)
    publish(address, b"\xff before")
    reader = open_reader(address)
    publish(address, b"after")
    assert batches(read_until(reader, 2)) == [b"\xff before", b"after"]
    reader.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqla+nothing://user:secret@host", "a URL that SQLAlchemy takes"),
        ("sqla://", "a URL that SQLAlchemy takes"),
        ("sqla+oracle+oracledb://user:secret@host", "No module named"),
    ],
)
def test_a_database_that_nobody_can_reach_is_said_at_once(url, sentence):
    assert sentence in refusal(url)


def test_kombus_pyro_is_refused_where_its_library_is_there():
    assert "fails whenever a queue is empty" in refusal("pyro://localhost/kombu.broker")


@pytest.fixture
def sqs(monkeypatch):
    """Amazon's queues, as moto has them."""
    try:
        import pycurl  # noqa: F401
        from moto.server import ThreadedMotoServer
    except ImportError as exc:
        skip_or_fail(f"{exc.name} is not installed")
        raise
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port)
    server.start()
    yield BrokerAddress(f"sqs://nobody:nothing@localhost:{port}", {"is_secure": False})
    server.stop()


def test_sqs_carries_the_events(sqs):
    publish(sqs, b"\xff before")
    reader = open_reader(sqs)
    assert batches(read_until(reader, 1)) == [b"\xff before"]
    reader.close()
    # What was read is gone.
    publish(sqs, b"after")
    reader = open_reader(sqs)
    assert batches(read_until(reader, 1)) == [b"after"]
    reader.close()


def test_sqs_with_predefined_queues_needs_one_for_the_events(sqs):
    import boto3

    port = sqs.url.rpartition(":")[2]
    client = boto3.client("sqs", endpoint_url=f"http://localhost:{port}")
    queue = {
        "url": client.create_queue(QueueName="celery_wsprogress")["QueueUrl"],
        "region": "us-east-1",
        "access_key_id": "nobody",
        "secret_access_key": "nothing",
    }
    others = sqs._replace(
        transport_options={**sqs.transport_options, "predefined_queues": {"celery": queue}}
    )
    for opener in (prepare, open_writer, open_reader):
        with pytest.raises(ConfigurationError, match=r"predefined_queues.*'celery_wsprogress'"):
            opener(others)
    ours = sqs._replace(
        transport_options={
            **sqs.transport_options,
            "predefined_queues": {"celery": queue, "celery_wsprogress": queue},
        }
    )
    prepare(ours)
    publish(ours, b"one")
    reader = open_reader(ours)
    assert batches(read_until(reader, 1)) == [b"one"]
    reader.close()


class _NoRights(BaseHTTPRequestHandler):
    """Amazon's answers to who may list queues and make none."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        refused = "CreateQueue" in self.headers["X-Amz-Target"]
        said = {"__type": "AccessDeniedException", "message": "may not sqs:CreateQueue"}
        body = json.dumps(said if refused else {"QueueUrls": []}).encode()
        self.send_response(403 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_who_may_make_no_queue_is_told_so_in_amazons_words(sqs, caplog):
    with ThreadingHTTPServer(("127.0.0.1", 0), _NoRights) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"sqs://nobody:nothing@localhost:{server.server_port}"
        address = BrokerAddress(url, sqs.transport_options)
        with SidecarThread(address, wait=False) as served:
            eventually(lambda: served.sidecar.ingest.status.reconnects > 1)
            assert "may not sqs:CreateQueue" in served.sidecar.ingest.status.error
        server.shutdown()
    assert caplog.text.count("refuses to be read") == 1
