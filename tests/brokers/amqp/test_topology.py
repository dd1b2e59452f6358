import logging
import threading
from contextlib import contextmanager

import pytest
from amqp.exceptions import NotFound
from support.event_log import batches, publish, read_until
from support.proxies import Proxy

from celery_wsprogress.brokers import (
    EXCHANGE,
    BrokerAddress,
    open_reader,
    open_writer,
)
from celery_wsprogress.brokers.amqp import connection as amqp_connection
from celery_wsprogress.brokers.amqp import topology
from celery_wsprogress.brokers.amqp.topology import exists


def test_an_exchange_of_another_kind_is_used_as_it_is(
    rabbitmq_url, rabbitmq_server, caplog, monkeypatch
):
    monkeypatch.setattr(topology, "_warned", threading.Event())
    with rabbitmq_server.connect() as connection:
        connection.channel().exchange_declare(EXCHANGE, "fanout", durable=False, auto_delete=False)
    address = BrokerAddress(rabbitmq_url)
    with caplog.at_level(logging.WARNING, "celery_wsprogress"):
        reader, writer = open_reader(address), open_writer(address)
    writer.publish(b"1", confirm=True)
    assert batches(read_until(reader, 1)) == [b"1"]
    assert len([r for r in caplog.records if "other arguments" in r.message]) == 1


@pytest.fixture
def proxied(rabbitmq_url, rabbitmq_server):
    """The broker, and its URL through a network that may alter what it says."""
    with Proxy(rabbitmq_server.port) as network:
        port = f":{rabbitmq_server.port}/"
        yield network, BrokerAddress(rabbitmq_url.replace(port, f":{network.port}/"))


def test_another_brokers_words_for_what_is_not_there_will_do(proxied):
    """LavinMQ says: Queue '...' doesn't exists."""
    network, address = proxied
    network.alter = lambda said: said.replace(b"no queue '", b"Not there ")
    publish(address, b"1")
    reader = open_reader(address)
    assert reader.replayable
    assert batches(read_until(reader, 1)) == [b"1"]
    reader.close()


def test_a_name_does_not_make_a_queue_one_that_is_down(rabbitmq_url):
    with kombu_connection(BrokerAddress(rabbitmq_url)) as connection:
        assert not exists(connection, "jobs_that_crashed.log")


@pytest.mark.parametrize("words", [b"home node ", b"crashed   ", b"is stopped"])
def test_a_queue_that_is_down_is_not_taken_for_none(proxied, words):
    network, address = proxied
    network.alter = lambda said: said.replace(b"no queue '", words)
    with kombu_connection(address) as connection, pytest.raises(NotFound):
        exists(connection, "nowhere")


@contextmanager
def kombu_connection(address):
    connection = amqp_connection.connect(address)
    yield connection
    amqp_connection.abort(connection)
