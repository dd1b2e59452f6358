from __future__ import annotations

import pytest

from celery_wsprogress.access.exposure import check_exposure
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings

KEY = "a key that is long enough for HS256"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"host": "127.0.0.1"},
        {"host": "::1"},
        {"host": "0.0.0.0", "key": KEY},
        {"host": "0.0.0.0", "insecure": True},
        {"host": "progress.example", "key": KEY},
        {"monitor_unsubscribed": True},
        {"monitor_unsubscribed": True, "host": "::", "insecure": True},
    ],
    ids=repr,
)
def test_settings_that_may_be_served(settings):
    check_exposure(ServeSettings.load(settings))


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.7", "progress.example", "localhost.evil.example", "127.1"]
)
def test_a_public_address_needs_a_key_or_an_explicit_option(host):
    with pytest.raises(ConfigurationError) as caught:
        check_exposure(ServeSettings.load({"host": host}))
    for word in ("wsprogress_host", host, "loopback", "WSPROGRESS_KEY", "--insecure"):
        assert word in str(caught.value)


@pytest.mark.parametrize("more", [{}, {"host": "0.0.0.0"}, {"insecure": True}], ids=repr)
def test_everything_for_everyone_is_refused_once_there_is_a_key(more):
    settings = ServeSettings.load({"key": KEY, "monitor_unsubscribed": True, **more})
    with pytest.raises(
        ConfigurationError, match=r"monitor_unsubscribed is True, .* off once a key"
    ):
        check_exposure(settings)
