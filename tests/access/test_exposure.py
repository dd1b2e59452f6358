from __future__ import annotations

import pytest

from celery_wsprogress.access.exposure import check_exposure, describe_exposure, is_exposed
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings

KEY = "k" * 40


@pytest.mark.parametrize(
    ("options", "exposed", "words"),
    [
        ({}, False, None),
        ({"host": "127.0.0.1"}, False, None),
        ({"host": "::1"}, False, None),
        ({"host": "0.0.0.0", "key": KEY}, False, None),
        ({"host": "0.0.0.0", "insecure": True}, True, "may list and watch every operation"),
        ({"host": "::", "exact_only": True}, True, "every operation whose id they know"),
    ],
)
def test_who_may_connect_without_a_token(options, exposed, words):
    settings = ServeSettings(**options)
    check_exposure(settings)
    assert is_exposed(settings) is exposed
    described = describe_exposure(settings)
    assert described is None if words is None else words in described


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org", ""])
def test_a_public_address_without_a_key_is_refused(host):
    with pytest.raises(ConfigurationError, match="a loopback address unless a key"):
        check_exposure(ServeSettings(host=host))


@pytest.mark.parametrize("more", [{"insecure": True}, {"exact_only": True}])
def test_nobody_cancels_at_a_public_address_without_a_key(more):
    with pytest.raises(ConfigurationError, match="wsprogress_allow_cancel"):
        check_exposure(ServeSettings(host="0.0.0.0", allow_cancel=True, **more))
    check_exposure(ServeSettings(host="0.0.0.0", allow_cancel=True, key=KEY))
    check_exposure(ServeSettings(allow_cancel=True))


def test_a_monitor_that_never_subscribes_is_refused_where_tokens_are_asked_for():
    with pytest.raises(ConfigurationError, match="wsprogress_monitor_unsubscribed"):
        check_exposure(ServeSettings(monitor_unsubscribed=True, key=KEY))
    check_exposure(ServeSettings(monitor_unsubscribed=True))
