import subprocess
import sys

import pytest
from celery import Celery

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.address import DEFAULT_URL, address_of


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
        monkeypatch.delenv(name, raising=False)


def make(**conf):
    app = Celery("app", set_as_current=False)
    app.conf.update(conf)
    return app


def test_celerys_broker_comes_with_all_that_belongs_to_it():
    app = make(
        broker_url="rediss://h/1",
        broker_transport_options={"global_keyprefix": "t:"},
        broker_use_ssl={"ssl_cert_reqs": "required"},
        broker_login_method="PLAIN",
    )
    assert address_of(app) == (
        "rediss://h/1", {"global_keyprefix": "t:"}, {"ssl_cert_reqs": "required"}, "PLAIN",
        "celery_wsprogress", None,
    )  # fmt: skip


def test_reading_and_writing_may_go_to_different_urls():
    app = make(broker_read_url="redis://r", broker_write_url="redis://w")
    assert address_of(app).url == "redis://r"
    assert address_of(app, write=True).url == "redis://w"


def test_another_broker_gets_nothing_of_celerys():
    app = make(broker_url="amqp://h", broker_use_ssl=True, broker_login_method="EXTERNAL")
    assert address_of(app, "redis://other") == BrokerAddress("redis://other")


def test_naming_celerys_own_broker_changes_nothing():
    app = make(broker_url="redis://h", broker_transport_options={"global_keyprefix": "t:"})
    assert address_of(app, "redis://h") == address_of(app)


@pytest.mark.parametrize(
    ("broker_url", "url"),
    [
        (None, DEFAULT_URL),
        ("redis://a;redis://b", "redis://a;redis://b"),
        (["amqp://a", "amqp://b"], "amqp://a;amqp://b"),
        ("somewhere", "amqp://somewhere"),
    ],
)
def test_what_celery_takes_as_a_url(broker_url, url):
    assert address_of(make(broker_url=broker_url)).url == url


def test_an_address_shows_no_password():
    options = {"sentinel_kwargs": {"password": "secret"}}
    address = BrokerAddress("redis://:secret@host:1/0", options, use_ssl={"password": "secret"})
    assert f"{address} {[address]}" == (
        "<BrokerAddress redis://:**@host:1/0> [<BrokerAddress redis://:**@host:1/0>]"
    )


def test_the_contract_loads_no_client_library():
    code = (
        "import sys; import celery_wsprogress.brokers, celery_wsprogress.brokers.address\n"
        "print([m for m in ('redis', 'amqp', 'kombu', 'celery') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("url", [None, "redis://other"])
def test_the_exchange_that_is_named_comes_with_every_broker(url):
    assert address_of(make(broker_url="redis://h"), url).exchange == "celery_wsprogress"
    assert address_of(make(broker_url="redis://h"), url, "billing").exchange == "billing"
