import time
from urllib.parse import urlsplit

import pytest
from support.conditions import eventually
from support.event_log import batches, publish, read_until
from support.proxies import Proxy

from celery_wsprogress.brokers import BrokerAddress, open_reader
from celery_wsprogress.brokers.amqp import stream_reader


@pytest.fixture
def address(rabbitmq_url):
    return BrokerAddress(rabbitmq_url)


@pytest.mark.parametrize("known", [False, True])
def test_a_log_is_not_taken_for_an_empty_or_another_one_because_the_broker_is_slow(
    address, monkeypatch, known
):
    """Everything that follows the first delivery of the log comes as late as that."""
    publish(address, b"early")
    reader = open_reader(address)
    asked = {"position": "0", "epoch": reader.epoch} if known else {}
    # Shorter than the timeout of the connection, which would end it.
    monkeypatch.setattr(stream_reader, "POSITION_TIMEOUT", stream_reader.EMPTY_LOG_TIMEOUT)
    held = []

    def hold_back(data):
        if b"early" in data and not held:
            held.append(data)
            time.sleep(stream_reader.EMPTY_LOG_TIMEOUT + 1.0)
        return data

    target = urlsplit(address.url).port
    with Proxy(target) as network:
        network.alter = hold_back
        slow = address._replace(url=address.url.replace(f":{target}", f":{network.port}"))
        late = open_reader(slow, **asked)
        assert held
        assert (late.epoch, late.end) == (reader.epoch, "0")


def test_a_log_that_ends_before_the_position_is_a_new_epoch(address, monkeypatch):
    monkeypatch.setattr(stream_reader, "POSITION_TIMEOUT", 0.5)
    publish(address, b"1")
    watching = open_reader(address)
    again = open_reader(address, "17", watching.epoch)
    other = open_reader(address, "17", watching.epoch)
    assert again.epoch == other.epoch != watching.epoch
    assert batches(read_until(other, 1)) == [b"1"]
    with pytest.raises(ConnectionError, match="new event log"):
        eventually(lambda: watching.read("", wait=0.5) and None)
