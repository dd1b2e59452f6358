"""``manage.py check`` says what is wrong with the settings."""

from __future__ import annotations

import pytest

CHECK = """
with override_settings(**{settings!r}):
    found = run_checks(tags=["wsprogress"], include_deployment_checks={deploy})
    result = [[one.id, one.msg] for one in found]
"""


def check(shop, *, deploy=False, **settings):
    return shop.run(CHECK.format(settings=settings, deploy=deploy))


def ids(found):
    return [one for one, _ in found]


def test_nothing_is_wrong_with_the_project_of_the_documentation(shop):
    assert check(shop, deploy=True) == []
    assert "no issues" in shop.manage("check").stdout


@pytest.mark.parametrize(
    "url", ["localhost:8765", "http://localhost", "ws://", "wss://a:b@c", "ws://a:x", "progress", 7]
)
def test_an_address_that_is_none(shop, url):
    assert ids(check(shop, WSPROGRESS_WS_URL=url)) == ["wsprogress.E001"]


@pytest.mark.parametrize("url", ["wss://example.org/progress", "/progress", "ws://[::1]:8765"])
def test_an_address(shop, url):
    assert check(shop, WSPROGRESS_WS_URL=url) == []


def test_no_address_in_production(shop):
    assert check(shop, WSPROGRESS_WS_URL=None, DEBUG=True) == []
    assert ids(check(shop, WSPROGRESS_WS_URL=None, DEBUG=False)) == ["wsprogress.W001"]


def test_a_key_that_is_too_short_is_told_and_not_shown(shop):
    shop.run("import os; os.environ['WSPROGRESS_KEY'] = 'short one'")
    try:
        [[number, message]] = check(shop)
    finally:
        shop.run("del os.environ['WSPROGRESS_KEY']")
    assert number == "wsprogress.E002"
    assert "wsprogress_key" in message
    assert "short one" not in message


@pytest.mark.parametrize("named", ["shop.access.nobody", "nothing.at.all", "word", "shop.__name__"])
def test_a_function_that_is_not_there(shop, named):
    assert ids(check(shop, WSPROGRESS_TOKEN_PERMIT=named)) == ["wsprogress.E003"]


@pytest.mark.parametrize("seconds", [0, -1, "60", None, float("1e300")])
def test_a_time_that_is_none(shop, seconds):
    assert ids(check(shop, WSPROGRESS_TOKEN_SECONDS=seconds)) == ["wsprogress.E004"]


def test_a_name_that_nothing_knows(shop):
    [[number, message]] = check(shop, WSPROGRESS_TOKENS="x")
    assert number == "wsprogress.W004"
    assert message.startswith("WSPROGRESS_TOKENS is no setting")


def test_a_project_without_an_application_or_a_broker(shop):
    for app, number in (("Celery('default')", "W002"), ("Celery('other')", "W003")):
        shop.run(
            f"from celery import Celery\nheld, other = current_app._get_current_object(), {app}"
        )
        shop.run("other.set_current()")
        try:
            assert ids(check(shop)) == [f"wsprogress.{number}"]
        finally:
            shop.run("held.set_current()")


def test_a_public_sidecar_without_a_key(shop):
    shop.run("from celery import Celery\nheld = current_app._get_current_object()")
    shop.run("Celery('keyless', broker='memory://').set_current()")
    try:
        found = check(shop, deploy=True, WSPROGRESS_WS_URL="wss://example.org")
        assert ids(found) == ["wsprogress.W005"]
        assert check(shop, deploy=True, WSPROGRESS_WS_URL="ws://localhost:1") == []
        assert check(shop, WSPROGRESS_WS_URL="wss://example.org") == []
    finally:
        shop.run("held.set_current()")
