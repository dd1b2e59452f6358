import logging
import threading

from raw_log import batches, read_until

from celery_wsprogress.brokers import (
    EXCHANGE,
    BrokerAddress,
    amqp_topology,
    open_reader,
    open_writer,
)


def test_an_exchange_of_another_kind_is_used_as_it_is(
    rabbitmq_url, rabbitmq_server, caplog, monkeypatch
):
    monkeypatch.setattr(amqp_topology, "_warned", threading.Event())
    with rabbitmq_server.connect() as connection:
        connection.channel().exchange_declare(EXCHANGE, "fanout", durable=False, auto_delete=False)
    address = BrokerAddress(rabbitmq_url)
    with caplog.at_level(logging.WARNING, "celery_wsprogress"):
        reader, writer = open_reader(address), open_writer(address)
    writer.publish(b"1", confirm=True)
    assert batches(read_until(reader, 1)) == [b"1"]
    assert len([r for r in caplog.records if "other arguments" in r.message]) == 1
