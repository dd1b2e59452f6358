from __future__ import annotations

import dataclasses
import math
import re
from ipaddress import ip_network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.json_values import texts, values

from celery_wsprogress.common_settings import Settings
from celery_wsprogress.errors import ConfigurationError, WSProgressError
from celery_wsprogress.setting_sources import from_conf, from_environ, websocket_enabled
from celery_wsprogress.settings import ServeSettings, WorkerSettings
from celery_wsprogress.urls import masked

KEY = "a key that is long enough for HS256"


def names(cls):
    return [field.name for field in dataclasses.fields(cls)]


ALL = [
    *((WorkerSettings, name) for name in names(WorkerSettings)),
    *((ServeSettings, name) for name in names(ServeSettings)),
]


# Where a value comes from.


def test_what_stands_in_the_documentation_when_nothing_is_set():
    serve, worker = ServeSettings.load(), WorkerSettings.load()
    assert (serve.host, serve.port, serve.key, serve.insecure) == ("localhost", 8765, None, False)
    assert (serve.heartbeat, serve.max_finished, serve.monitor_unsubscribed) == (20, 1000, False)
    assert (worker.enabled, worker.tasks, worker.stream_result) == (True, "streaming", True)
    assert (worker.progress_interval, worker.event_interval) == (0.1, 0.01)


def test_the_later_source_wins():
    assert ServeSettings.load({"port": 1}, {"port": 2}, {"port": 3}).port == 3


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(("cls", "name"), ALL)
def test_nothing_is_no_value_and_hides_none(cls, name, nothing):
    assert cls.load({name: nothing}) == cls()
    if name == "port":
        assert cls.load({"port": 1}, {"port": nothing}).port == 1


def test_names_of_other_sides_are_not_looked_at():
    assert ServeSettings.load({"progress_interval": "nonsense"}) == ServeSettings()


def test_celerys_configuration():
    conf = {"wsprogress_port": 1, "port": 2, "broker_url": "x", "wsprogress_tasks": "all"}
    assert from_conf(conf, ServeSettings) == {"port": 1}
    assert from_conf(conf, WorkerSettings) == {"tasks": "all"}


def test_the_environment():
    environ = {"WSPROGRESS_PORT": "1", "WSPROGRESS_KEY": KEY, "PORT": "2", "WSPROGRESS_HOST": ""}
    assert from_environ(environ, ServeSettings) == {"port": "1", "key": KEY}


@pytest.mark.parametrize(
    ("environ", "port"),
    [
        ({"WEBSOCKET_PORT": "1"}, 1),
        ({"WEBSOCKET_PORT": "1", "WSPROGRESS_PORT": "2"}, 2),
        ({"WEBSOCKET_PORT": "1", "WSPROGRESS_PORT": ""}, 1),
        ({"WEBSOCKET_PORT": ""}, 8765),
    ],
)
def test_websocket_port_counts_where_nothing_else_is_said(environ, port):
    assert ServeSettings.load(from_environ(environ, ServeSettings)).port == port


def test_websocket_port_is_no_affair_of_workers():
    assert from_environ({"WEBSOCKET_PORT": "1"}, WorkerSettings) == {}


@pytest.mark.parametrize(
    ("value", "enabled"),
    [("", True), ("true", True), ("1", True), ("false", False), ("FALSE", False), ("0", False),
     ("no", False), ("off", False), (" false ", False)],
)  # fmt: skip
def test_enable_websocket(value, enabled):
    assert websocket_enabled({"ENABLE_WEBSOCKET": value}) is enabled


def test_websockets_are_enabled_when_nobody_says_otherwise():
    assert websocket_enabled({})


def test_a_bad_enable_websocket_is_named():
    with pytest.raises(ConfigurationError, match="ENABLE_WEBSOCKET is 'maybe', but must be true"):
        websocket_enabled({"ENABLE_WEBSOCKET": "maybe"})


# What values are taken.


@pytest.mark.parametrize(
    ("cls", "name", "given", "taken"),
    [
        (ServeSettings, "port", "0", 0),
        (ServeSettings, "port", "65535", 65535),
        (ServeSettings, "host", " ::1 ", "::1"),
        (ServeSettings, "insecure", "yes", True),
        (ServeSettings, "insecure", False, False),
        (ServeSettings, "heartbeat", "2.5", 2.5),
        (ServeSettings, "heartbeat", 600, 600.0),
        (ServeSettings, "origins", "https://a.io, https://b.io,", ("https://a.io", "https://b.io")),
        (ServeSettings, "origins", ["https://a.example"], ("https://a.example",)),
        (ServeSettings, "hosts", ("a.example",), ("a.example",)),
        (ServeSettings, "trusted_proxies", "10.0.0.0/8, ::1",
         (ip_network("10.0.0.0/8"), ip_network("::1"))),
        (ServeSettings, "flower_url", " http://localhost:5555/ ", "http://localhost:5555"),
        (ServeSettings, "flower_url", "https://[::1]/flower", "https://[::1]/flower"),
        (ServeSettings, "root_path", "/a/progress/", "/a/progress"),
        (ServeSettings, "root_path", "/", None),
        (ServeSettings, "key", KEY, KEY),
        (ServeSettings, "key", "ü" * 16, "ü" * 16),
        (WorkerSettings, "tasks", "all", "all"),
        (WorkerSettings, "tasks", " streaming ", "streaming"),
        (WorkerSettings, "tasks", "proj.*,other.one", ("proj.*", "other.one")),
        (WorkerSettings, "tasks", ["proj.*", "other.one"], ("proj.*", "other.one")),
        (WorkerSettings, "progress_interval", 0, 0.0),
        (WorkerSettings, "buffer_bytes", "100000", 100_000),
        (WorkerSettings, "log_bytes", "1000000", 1_000_000),
        (ServeSettings, "log_bytes", 50_000_000, 50_000_000),
    ],
)  # fmt: skip
def test_a_value_is_taken(cls, name, given, taken):
    assert getattr(cls.load({name: given}), name) == taken


@pytest.mark.parametrize(
    ("cls", "name", "value"),
    [
        (ServeSettings, "port", "abc"),
        (ServeSettings, "port", -1),
        (ServeSettings, "port", "65536"),
        (ServeSettings, "port", 8765.0),
        (ServeSettings, "port", True),
        (ServeSettings, "port", "9" * 5000),
        (ServeSettings, "host", 7),
        (ServeSettings, "host", "  "),
        (ServeSettings, "insecure", "perhaps"),
        (ServeSettings, "insecure", 2),
        (ServeSettings, "heartbeat", 0.5),
        (ServeSettings, "heartbeat", math.nan),
        (ServeSettings, "heartbeat", math.inf),
        (ServeSettings, "heartbeat", 10**400),
        (ServeSettings, "heartbeat", True),
        (ServeSettings, "root_path", "progress"),
        (ServeSettings, "root_path", "//example.com"),
        (ServeSettings, "root_path", "/a?b"),
        (ServeSettings, "origins", 7),
        (ServeSettings, "origins", [7]),
        (ServeSettings, "origins", "a, ,b"),
        (ServeSettings, "trusted_proxies", "0.0.0.0/0"),
        (ServeSettings, "trusted_proxies", ["::/0"]),
        (ServeSettings, "trusted_proxies", "10.0.0.1/8"),
        (ServeSettings, "trusted_proxies", "*"),
        (ServeSettings, "trusted_proxies", [7]),
        (ServeSettings, "max_finished", -1),
        (WorkerSettings, "tasks", [7]),
        (WorkerSettings, "tasks", 7),
        (WorkerSettings, "progress_interval", 61),
        (WorkerSettings, "progress_interval", "soon"),
        (WorkerSettings, "buffer_bytes", 99_999),
        (WorkerSettings, "log_bytes", 999_999),
        (ServeSettings, "log_bytes", "100 MB"),
    ],
)
def test_a_bad_value_is_named_with_its_setting_and_what_is_allowed(cls, name, value):
    with pytest.raises(ConfigurationError) as caught:
        cls.load({name: value})
    error = caught.value
    allowed = cls.__dataclass_fields__[name].metadata["allowed"]
    assert (error.setting, error.value, error.allowed) == (f"wsprogress_{name}", value, allowed)
    assert str(error) == f"wsprogress_{name} is {value!r}, but must be {allowed}"
    assert isinstance(error, (WSProgressError, ValueError))


anything = st.one_of(
    values,
    texts,
    st.binary(max_size=40),
    st.integers(),
    st.floats(),
    st.lists(texts, max_size=3),
    st.just(object()),
)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"master_name": "events"}, {"master_name": "events"}),
        ('{"master_name": "events", "db": 1}', {"master_name": "events", "db": 1}),
        ("master_name=events", {"master_name": "events"}),
        (("master_name=events", "global_keyprefix=shop:"),
         {"master_name": "events", "global_keyprefix": "shop:"}),
        (["sentinel_kwargs.password=1234", "sentinel_kwargs.username=me"],
         {"sentinel_kwargs": {"password": "1234", "username": "me"}}),
        (["socket_timeout=2.5", "health_check_interval=7", "socket_keepalive=True"],
         {"socket_timeout": 2.5, "health_check_interval": 7, "socket_keepalive": True}),
        (["key_prefix=", "region=eu-west-1", "name=007", "much=1e5", "url=a=b"],
         {"key_prefix": "", "region": "eu-west-1", "name": "007", "much": "1e5", "url": "a=b"}),
        ('predefined_queues={"a": {"url": "http://h/a"}}',
         {"predefined_queues": {"a": {"url": "http://h/a"}}}),
        ({}, None), ([], None), ("{}", None),
    ],
)  # fmt: skip
def test_options_of_a_transport(given, taken):
    assert WorkerSettings.load({"transport_options": given}).transport_options == taken


@pytest.mark.parametrize(
    "value",
    [
        "secret", "=secret", "a b=secret", ".a=secret", "a.=secret", '{"a": secret}', "[1]", '"a"',
        7, {7: "secret"}, ["a=secret", "a.b=secret"], [7], [["a", "secret"]], b"a=secret", object,
        "a={",
    ],
    ids=repr,
)  # fmt: skip
def test_options_of_a_transport_that_are_none_are_not_shown(value):
    with pytest.raises(ConfigurationError) as caught:
        WorkerSettings.load({"transport_options": value})
    assert str(caught.value).startswith("wsprogress_transport_options is '(hidden)', but must be ")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(WorkerSettings.load({"transport_options": "password=secret"}))


@given(st.sampled_from(ALL), anything)
def test_whatever_is_set_is_taken_or_named(setting, value):
    cls, name = setting
    try:
        settings = cls.load({name: value})
    except ConfigurationError as exc:
        shown = "(hidden)" if cls.__dataclass_fields__[name].metadata["secret"] else repr(value)
        assert f"wsprogress_{name}" in str(exc)  # noqa: PT017
        assert shown in str(exc) or "://" in shown  # noqa: PT017
    else:
        assert type(getattr(settings, name)) in {str, int, float, bool, tuple, dict, type(None)}


@pytest.mark.parametrize(
    "url",
    [
        "flower.example",
        "javascript:alert(1)",
        "ftp://flower.example",
        "http://",
        "https://user:secret@flower.example",
        "http://flower.example/?token=secret",
        "http://flower.example/#secret",
        "http://flower.example:port",
        "http://[::1",
        'http://flower.example/" onload="x',
        7,
    ],
)
def test_an_address_of_flower_is_that_of_a_page_and_holds_no_secret(url):
    with pytest.raises(ConfigurationError, match="must be the http or https address") as caught:
        ServeSettings.load({"flower_url": url})
    assert "secret" not in str(caught.value)


# Secrets.


@given(st.text("Xyz-?", min_size=32), st.text("Xyz-?", min_size=5))
def test_a_secret_is_not_in_the_text_of_the_settings(key, url):
    settings = ServeSettings.load({"key": key, "url": f"redis://:{url}@h"})
    assert (settings.key, settings.url) == (key, f"redis://:{url}@h")
    for text in (repr(settings), str(settings), repr(Settings.load({"url": url}))):
        assert key not in text
        assert url not in text


@given(st.text("Xyz-?", min_size=5, max_size=31) | st.binary(min_size=5))
def test_a_secret_is_not_in_the_text_of_an_error(key):
    with pytest.raises(ConfigurationError) as caught:
        ServeSettings.load({"key": key})
    error = caught.value
    assert str(error) == "wsprogress_key is '(hidden)', but must be a secret of at least 32 bytes"
    assert all(str(key) not in str(one) for one in (error, repr(error), error.args, error.value))


@pytest.mark.parametrize("name", ["public_keys", "origins", "hosts", "host", "trusted_proxies"])
@pytest.mark.parametrize("several", [False, True])
def test_a_password_in_a_url_is_not_in_the_text_of_an_error(name, several):
    url = "https://user:hunter2@broker.example/path"
    with pytest.raises(ConfigurationError) as caught:
        ServeSettings.load({name: [url] if several else url})
    assert "hunter2" not in str(caught.value)
    assert "broker.example" in str(caught.value)


def test_the_length_of_a_key_is_counted_in_bytes():
    assert ServeSettings.load({"key": "x" * 32}).key
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        ServeSettings.load({"key": "x" * 31})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@localhost:6379/0", "redis://:**@localhost:6379/0"),
        ("redis://user:secret@[::1]:6379/0", "redis://user:**@[::1]:6379/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("amqp://guest:secret@localhost:5672//", "amqp://guest:**@localhost:5672//"),
        ("redis+socket:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("redis+socket://:secret@/run/redis.sock", "redis+socket://:**@/run/redis.sock"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=**"),
        ("redis://h?password=secret&x", "redis://h?password=**&x=**"),
        ("sqs://", "sqs://"),
        ("memory://", "memory://"),
        ("sqs://secret@", "sqs://**@"),
        ("redis://:secret@h1;redis://u:secret@h2", "redis://:**@h1;redis://u:**@h2"),
        ("sentinel://h1:26379;sentinel://h2:26379", "sentinel://h1:26379;sentinel://h2:26379"),
        ("user:secret@localhost", "user:**@localhost"),
        ("redis://:secret@h/0#secret", "redis://:**@h/0"),
        ("redis://:secret", "redis://**"),
        ("redis://[secret", "redis://**"),
        ("", ""),
    ],
)
def test_a_masked_url(url, shown):
    assert masked(url) == shown


awkward = st.text(st.sampled_from("@/#?;:%&=[]+. é\\\"'aZ0") | st.characters(), max_size=12)


@given(awkward, awkward, st.sampled_from(["redis://", "amqp://user", "rediss://", "", "redis://h"]))
def test_no_part_of_a_password_is_shown(before, after, scheme):
    password = f"{before}SECRET{after}"
    # This begins another URL, for kombu as well as here.
    assume(not re.search(r";[A-Za-z][\w+.-]*://", password))
    url = f"{scheme}:{password}@host:6379/0"
    assert "SECRET" not in masked(url)
    assert "SECRET" not in masked(f"{url};{url}")
    assert masked(url).endswith("host:6379/0")


@given(st.text(max_size=30))
def test_any_text_can_be_masked(url):
    assert isinstance(masked(url), str)


@pytest.mark.parametrize("name", ["billing", "billing-2_b", "x" * 60])
def test_an_exchange_has_a_name_that_every_broker_takes(name):
    assert WorkerSettings.load({"exchange": name}).exchange == name
    assert ServeSettings.load({"exchange": name}).exchange == name


@pytest.mark.parametrize("name", ["a.b", "a b", "x" * 61, "ü", 7, "a/b"])
def test_any_other_name_of_an_exchange_is_refused(name):
    with pytest.raises(ConfigurationError, match="wsprogress_exchange"):
        WorkerSettings.load({"exchange": name})


# Keys of tokens.


def test_keys_have_names_and_an_order():
    for value in ({"b": KEY, "a": KEY[::-1]}, f'{{"b": "{KEY}", "a": "{KEY[::-1]}"}}'):
        settings = ServeSettings.load({"keys": value})
        assert list(settings.keys.items()) == [("b", KEY), ("a", KEY[::-1])]
        assert KEY not in repr(settings)


@pytest.mark.parametrize("value", ["x", "[]x", "[1]", '{"a": "short"}', {"": KEY}, {7: KEY}, 7])
def test_keys_that_are_none_are_not_shown(value):
    with pytest.raises(ConfigurationError, match="hidden") as caught:
        ServeSettings.load({"keys": value})
    assert "short" not in str(caught.value)


def test_a_public_key_is_no_secret():
    with pytest.raises(ConfigurationError):
        ServeSettings.load({"key": "-----BEGIN PUBLIC KEY-----" + KEY})


def test_places_of_public_keys():
    places = "/etc/a.pem https://id.example/jwks?v=1,http://localhost:1/keys"
    settings = ServeSettings.load({"public_keys": places})
    assert settings.public_keys == tuple(places.replace(",", " ").split())
    assert settings.needs_tokens
    assert settings.may_be_served


@pytest.mark.parametrize("place", ["ftp://x/keys", "https://user:pass@x/keys", "https://"])
def test_places_that_are_none(place):
    with pytest.raises(ConfigurationError, match="wsprogress_public_keys"):
        ServeSettings.load({"public_keys": place})


@pytest.mark.parametrize("name", ["a b", "a;b", "a=b", "", "x" * 101])
def test_names_of_cookies(name):
    assert ServeSettings.load({"token_cookie": "__Host-progress"}).token_cookie
    if name:
        with pytest.raises(ConfigurationError, match="wsprogress_token_cookie"):
            ServeSettings.load({"token_cookie": name})


@pytest.mark.parametrize("path", ["module", "a:", ":b", "a b:c", "a:b()"])
def test_paths_of_functions(path):
    assert ServeSettings.load({"permit": "a.b:c.d"}).needs_tokens
    assert not ServeSettings.load({"permit": "a.b:c.d"}).has_keys
    with pytest.raises(ConfigurationError, match="wsprogress_permit"):
        ServeSettings.load({"permit": path})
