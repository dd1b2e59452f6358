"""The settings of the ASGI application: nobody is let in because of the settings of ``serve``."""

from __future__ import annotations

import pytest

from celery_wsprogress.asgi.settings import check_names, load_asgi_settings

KEY = "a key that is long enough for HS256"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WSPROGRESS_HOST": "localhost"},
        {"WSPROGRESS_UNIX_SOCKET": "/run/wsprogress.sock"},
        {"WSPROGRESS_PROCESSES": "2"},
    ],
)
def test_without_a_key_an_id_must_be_known(monkeypatch, variables):
    for name in ("WSPROGRESS_KEY", "WSPROGRESS_KEYS", "WSPROGRESS_INSECURE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_asgi_settings(None, None, {})
    assert settings.exact_only
    assert not settings.is_local


def test_a_key_lets_tokens_decide():
    settings = load_asgi_settings(None, None, {"key": KEY})
    assert settings.needs_tokens
    assert not settings.exact_only


@pytest.mark.parametrize("name", ["host", "port", "unix_socket", "processes"])
def test_what_is_about_the_port_of_serve_is_no_setting_here(name):
    with pytest.raises(TypeError, match=f"no setting '{name}'"):
        check_names({name: "1"})
