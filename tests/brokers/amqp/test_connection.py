import threading

import pytest

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.amqp import connection as amqp_connection
from celery_wsprogress.brokers.amqp.connection import abort, connect, drain_until, socket_of


@pytest.fixture
def connection(rabbitmq_url):
    # The broker's own come twice as often.
    connection = connect(BrokerAddress(rabbitmq_url, {"heartbeat": 2.0}))
    yield connection
    abort(connection)


def test_waiting_ends_in_time_though_heartbeats_come(connection):
    # Otherwise it ends when the broker closes a connection that sends none itself.
    assert not drain_until(connection, lambda: False, 3.0)


def test_waiting_ends_with_the_connection(connection):
    threading.Timer(0.2, amqp_connection.shutdown_socket, [socket_of(connection)]).start()
    with pytest.raises(OSError, match=r"."):
        drain_until(connection, lambda: False, 600)


def test_a_connection_that_is_closed_is_not_set_up_again(connection):
    abort(connection)
    with pytest.raises(ConnectionError, match="closed"):
        drain_until(connection, lambda: False, 600)
