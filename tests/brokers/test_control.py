"""Control commands as Celery's own workers receive them, on real brokers."""

from __future__ import annotations

import contextlib

import pytest
from celery import Celery
from kombu import Connection
from support.conditions import eventually
from support.ports import free_port

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.control import broadcast
from celery_wsprogress.brokers.control_address import ControlAddress, revoke_arguments


class Node:
    """What listens as a worker does."""

    def __init__(self, app, connection):
        self.heard = []
        node = app.control.mailbox(connection).Node("me@here", channel=connection.channel())
        node.handlers["revoke"] = lambda _state, **arguments: self.heard.append(arguments)
        node.listen(callback=node.handle_message).consume()
        self._connection = connection

    def hear(self, address, *all_arguments):
        """What it hears of a command, as often as needed: on Redis it listens a little later."""

        def is_heard():
            assert broadcast(address, "revoke", all_arguments)
            with contextlib.suppress(TimeoutError):
                self._connection.drain_events(timeout=0.5)
            return self.heard

        return eventually(is_heard)[0]


def app_on(url, **conf):
    app = Celery("control", broker=url, set_as_current=False)
    app.conf.update(conf)
    return app


@pytest.mark.parametrize("conf", [{}, {"control_exchange": "other"}], ids=["default", "other"])
def test_a_worker_hears_it(broker_url, conf):
    app = app_on(broker_url, **conf)
    arguments = revoke_arguments(["a", "b"], terminate=True, reason="wrong file")
    with Connection(broker_url) as connection:
        heard = Node(app, connection).hear(ControlAddress.of_app(app), arguments)
    assert heard == {
        "task_id": ["a", "b"],
        "terminate": True,
        "signal": "SIGTERM",
        "reason": "wrong file",
    }


def test_the_broker_alone_is_enough(broker_url):
    address = ControlAddress(BrokerAddress(broker_url))
    arguments = revoke_arguments(["a"], terminate=False, reason="")
    with Connection(broker_url) as connection:
        heard = Node(app_on(broker_url), connection).hear(address, arguments)
    assert heard == {"task_id": ["a"], "terminate": False, "signal": "SIGTERM"}


def test_a_broker_that_is_down_is_an_error():
    address = ControlAddress(BrokerAddress(f"redis://localhost:{free_port()}/0"))
    with pytest.raises(Exception, match="onnect"):
        broadcast(address, "revoke", [])


def test_a_broker_without_fanout_sends_nothing(tmp_path):
    address = ControlAddress(BrokerAddress(f"sqla+sqlite:///{tmp_path}/broker.db"))
    assert not broadcast(address, "revoke", [])


def test_a_broker_that_takes_nothing_now_is_an_error(own_rabbitmq):
    """For want of memory; it does not say so to who only writes."""
    address = ControlAddress(BrokerAddress(own_rabbitmq.url, {"read_timeout": 1.0}))
    arguments = revoke_arguments(["a"], terminate=False, reason="")
    assert broadcast(address, "revoke", [arguments])
    own_rabbitmq.control("set_vm_memory_high_watermark", "0.000001")
    with pytest.raises(TimeoutError):
        broadcast(address, "revoke", [arguments])
