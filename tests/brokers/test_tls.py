"""Brokers behind TLS, several of them, and what is said where a certificate is refused."""

from __future__ import annotations

import logging
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from conftest import make_or_skip, skip_or_fail
from support.conditions import eventually
from support.event_log import batches, publish, read_until
from support.ports import free_port
from support.servers import RabbitMQServer, RedisServer
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress, open_reader, open_writer
from celery_wsprogress.brokers.batch_writer import Announcements, BatchWriter
from celery_wsprogress.brokers.failure import describe

if TYPE_CHECKING:
    from pathlib import Path

SELF_SIGNED = "the server's certificate is not accepted (self-signed certificate)"


class Files(NamedTuple):
    certificate: Path
    key: Path


def make(folder):
    """A key, and what it signs of itself."""
    if shutil.which("openssl") is None:
        skip_or_fail("openssl is not installed")
    files = Files(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", files.key, "-out", files.certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return files


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """The certificate of the servers, for localhost and 127.0.0.1."""
    return make(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """One that did not sign ours."""
    return make(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def redis_port(ours):
    port = free_port()
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(ours.certificate),
        "tls-key-file": str(ours.key),
        "tls-auth-clients": "no",
    }
    with make_or_skip(lambda: RedisServer(options=options)):
        yield port


@pytest.fixture(scope="module")
def rabbitmq(ours):
    """The server, and the port with TLS beside its own."""
    port = free_port()
    options = {
        "listeners.ssl.1": f"127.0.0.1:{port}",
        "ssl_options.cacertfile": ours.certificate,
        "ssl_options.certfile": ours.certificate,
        "ssl_options.keyfile": ours.key,
    }
    with make_or_skip(lambda: RabbitMQServer(options=options)) as server:
        yield server, port


def redis_options(trusted):
    return {"ssl_cert_reqs": "required", "ssl_ca_certs": str(trusted.certificate)}


def amqp_options(trusted, **more):
    return {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": str(trusted.certificate), **more}


def rediss(port):
    return f"rediss://localhost:{port}/0"


def amqps(port, host="localhost"):
    return f"amqps://guest:guest@{host}:{port}//"


def check_it_carries(address, batch):
    publish(address, batch)
    reader = open_reader(address)
    assert batch in batches(read_until(reader, 1))
    reader.close()


def refusals(address):
    """What is said of it to a writer, and to a reader."""
    for opener in (open_writer, open_reader):
        with pytest.raises(OSError, match=r".") as caught:
            opener(address)
        yield describe(caught.value, address.secrets)


@pytest.mark.redis
def test_redis_whose_certificate_is_trusted(redis_port, ours):
    url = rediss(redis_port)
    check_it_carries(BrokerAddress(url, use_ssl=redis_options(ours)), b"by setting")
    query = f"ssl_cert_reqs=required&ssl_ca_certs={ours.certificate}"
    check_it_carries(BrokerAddress(f"{url}?{query}"), b"by URL")
    several = f"{rediss(free_port())};{url}"
    check_it_carries(BrokerAddress(several, use_ssl=redis_options(ours)), b"the second one")


@pytest.mark.rabbitmq
def test_rabbitmq_whose_certificate_is_trusted(rabbitmq, ours):
    _, port = rabbitmq
    url = amqps(port)
    check_it_carries(BrokerAddress(url, use_ssl=amqp_options(ours)), b"by setting")
    named = amqp_options(ours, server_hostname=None)
    # The first one, which is away, has a name that is not in the certificate.
    several = f"{amqps(free_port(), '127.0.0.2')};{url}"
    check_it_carries(BrokerAddress(several, use_ssl=named), b"the second one")
    assert named["server_hostname"] is None


@pytest.mark.redis
def test_redis_whose_certificate_is_refused(redis_port, other, tmp_path, caplog):
    address = BrokerAddress(rediss(redis_port), use_ssl=redis_options(other))
    with pytest.raises(Exception, match=r".") as caught:
        open_writer(address)
    said = f"ConnectionError: {SELF_SIGNED}"
    assert describe(caught.value) == said
    batch_writer = BatchWriter(
        lambda: open_writer(address), "redis", Announcements(unreachable="%s: %s", program_error="")
    )
    batch_writer.prepare([], confirm=True)
    for _ in range(3):
        batch_writer.flush(0.0)
    assert [record.getMessage() for record in caplog.records] == [f"redis: {said}"]
    caplog.set_level(logging.WARNING)
    with SidecarThread(address, wait=False) as server:
        eventually(lambda: server.sidecar.ingest.status.error == said)
    missing = {**redis_options(other), "ssl_ca_certs": str(tmp_path / "missing.pem")}
    with pytest.raises(Exception, match=r".") as caught:
        open_writer(BrokerAddress(rediss(redis_port), use_ssl=missing))
    assert "does not exist" in describe(caught.value)


@pytest.mark.rabbitmq
def test_rabbitmq_whose_certificate_is_refused(rabbitmq, ours, other):
    """It is not taken for a wrong URL: the certificate may be mended while all else runs."""
    _, port = rabbitmq
    url, said = amqps(port), f"SSLCertVerificationError: {SELF_SIGNED}"
    assert set(refusals(BrokerAddress(url, use_ssl=amqp_options(other)))) == {said}
    # Without options the authorities of the system count.
    assert set(refusals(BrokerAddress(url))) == {said}
    wrong = amqp_options(ours, server_hostname="rabbit.example")
    for said in refusals(BrokerAddress(url, use_ssl=wrong)):
        assert said.endswith("certificate is not valid for 'rabbit.example')")


@pytest.mark.rabbitmq
def test_a_server_without_tls_is_named_as_one(rabbitmq, ours):
    server, _ = rabbitmq
    address = BrokerAddress(amqps(server.port), use_ssl=amqp_options(ours))
    for said in refusals(address):
        assert said.startswith("SSLError: the server does not speak TLS")


def test_what_tls_says_without_a_reason():
    assert (
        describe(ssl.SSLError()) == "SSLError: the server does not speak TLS as it should (unknown)"
    )
