import subprocess
import sys

import kombu
import pytest
from celery import Celery

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.address import DEFAULT_URL, broker_address
from celery_wsprogress.errors import ConfigurationError


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
    assert broker_address(app) == (
        "rediss://h/1", {"global_keyprefix": "t:"}, {"ssl_cert_reqs": "required"}, "PLAIN",
        "celery_wsprogress", None,
    )  # fmt: skip


def test_reading_and_writing_may_go_to_different_urls():
    app = make(broker_read_url="redis://r", broker_write_url="redis://w")
    assert broker_address(app).url == "redis://r"
    assert broker_address(app, write=True).url == "redis://w"


def test_another_broker_gets_nothing_of_celerys():
    app = make(broker_url="amqp://h", broker_use_ssl=True, broker_login_method="EXTERNAL")
    assert broker_address(app, "redis://other") == BrokerAddress("redis://other")


def test_naming_celerys_own_broker_changes_nothing():
    app = make(broker_url="redis://h", broker_transport_options={"global_keyprefix": "t:"})
    assert broker_address(app, "redis://h") == broker_address(app)


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
    assert broker_address(make(broker_url=broker_url)).url == url


URLS = [
    None, "amqp://", "amqp://h", "amqp://h/", "amqp://h//", "amqp://h/v", "amqp://me@h", "amqp://me:p%40@h:1/v",
    "amqp://h;amqp://other:7/v", "redis://h", "redis://:p@h/3", "rediss://h:6380/0?ssl_cert_reqs=none",
    "h", "a;b", "amqp://[::1]", ["amqp://h", "amqp://other"]
]  # fmt: skip
BESIDE = [
    {},
    {"broker_user": "u/s@r:"},
    {"broker_password": "p/a@s:s%"},
    {"broker_user": "user", "broker_password": "pass"},
    {"broker_vhost": "/a b/%"},
    {"broker_vhost": 4},
    {"broker_port": 5673},
    {"broker_port": "5673", "broker_vhost": "4", "broker_user": "user", "broker_password": "pass"},
    {"broker_transport": "redis"},
    {"broker_transport": "kombu.transport.pyamqp:Transport", "broker_port": 5673},
]


@pytest.mark.parametrize("beside", BESIDE, ids=str)
@pytest.mark.parametrize("url", URLS, ids=str)
def test_the_events_go_where_celery_s_own_connection_goes(url, beside):
    app = make(broker_url=url, **beside)
    theirs = app.connection_for_write()
    address = broker_address(app, write=True)
    ours = kombu.Connection(
        address.url, ssl=address.use_ssl or False, transport_options=dict(address.transport_options)
    )
    assert seen(ours) == seen(theirs)
    secret = str(beside.get("broker_password", "no password"))
    assert secret not in repr(address)
    assert secret in address.secrets or "broker_password" not in beside or ":p" in str(url)


def seen(connection):
    """What a connection is made of, with what its transport takes for granted."""
    return {
        # Numbers that are given as texts are taken for what they are.
        **{key: str(value) for key, value in connection.info().items() if key in PARTS},
        "class": type(connection.transport),
        "alternatives": connection.alt[1:],
    }


PARTS = {"hostname", "userid", "password", "virtual_host", "port", "ssl", "transport_options"}


@pytest.mark.parametrize(
    ("url", "completed"),
    [
        ("redis+socket:///tmp/r", "redis+socket:///tmp/r?virtual_host=4"),
        ("redis+socket:///tmp/r?a=b", "redis+socket:///tmp/r?a=b&virtual_host=4"),
        ("redis+socket:///tmp/r?virtual_host=1", "redis+socket:///tmp/r?virtual_host=1"),
        ("sqla+sqlite:///x", "sqla+sqlite:///x"),
    ],
)
def test_of_a_file_kombu_takes_the_number_of_a_database_only(url, completed):
    app = make(broker_url=url, broker_vhost=4, broker_user="user", broker_port=1)
    assert broker_address(app).url == completed


@pytest.mark.parametrize("side", ["read", "write"])
def test_each_side_is_completed_by_itself(side):
    app = make(broker_read_url="redis://r", broker_write_url="redis://w:1/2", broker_port=7)
    ours = kombu.Connection(broker_address(app, write=side == "write").url)
    assert seen(ours) == seen(getattr(app, f"connection_for_{side}")())


def test_a_transport_of_one_s_own_is_none_of_the_events():
    with pytest.raises(ConfigurationError, match="broker_transport is 'mine:Transport'"):
        broker_address(make(broker_url="amqp://h", broker_transport="mine:Transport"))
    # Unless they go elsewhere.
    assert broker_address(make(broker_transport="mine:Transport"), "redis://h").url == "redis://h"


def test_options_of_the_events_transport_go_before_celery_s():
    app = make(broker_url="redis://h", broker_transport_options={"a": 1, "b": 1})
    assert broker_address(app, options={"b": 2}).transport_options == {"a": 1, "b": 2}
    assert broker_address(app, "redis://other", options={"b": 2}).transport_options == {"b": 2}


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
    assert broker_address(make(broker_url="redis://h"), url).exchange == "celery_wsprogress"
    assert broker_address(make(broker_url="redis://h"), url, "billing").exchange == "billing"
