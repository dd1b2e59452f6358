"""``serve --show-config`` says what holds and why, and no secret."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from click.testing import CliRunner

from celery_wsprogress.cli import main
from celery_wsprogress.cli.serve_config import HIDDEN, UNSET, config_lines
from celery_wsprogress.settings import ServeSettings

KEY = "a key that is long enough for HS256"


def lines(conf=None, environ=None, **options):
    app = None if conf is None else SimpleNamespace(conf=conf)
    settings = ServeSettings.read(app, environ or {}, options)
    return {one.name: one for one in config_lines(settings, app, environ or {}, options)}


def test_each_setting_is_there_with_its_default():
    found = lines()
    assert set(found) == set(ServeSettings.__dataclass_fields__)
    assert found["port"].value == "8765"
    assert found["file_pages"].value == "true"
    assert found["flower_url"].value == UNSET
    assert {one.source for one in found.values()} == {"default"}


def test_what_wins_is_named():
    conf = {"wsprogress_port": 1001, "wsprogress_host": "127.0.0.1", "wsprogress_max_age": 5}
    environ = {"WSPROGRESS_PORT": "1002", "WSPROGRESS_HOST": "::1"}
    found = lines(conf, environ, port="1003")
    assert (found["port"].value, found["port"].source) == ("1003", "command line")
    assert (found["host"].value, found["host"].source) == ("::1", "WSPROGRESS_HOST")
    assert found["max_age"].source == "wsprogress_max_age of the application"


def test_the_older_name_of_the_port_is_named():
    assert lines(environ={"WEBSOCKET_PORT": "1002"})["port"].source == "WEBSOCKET_PORT"


def test_secrets_are_hidden():
    found = lines(
        environ={
            "WSPROGRESS_KEY": KEY,
            "WSPROGRESS_KEYS": f'{{"a": "{KEY}"}}',
            "WSPROGRESS_URL": "redis://user:hunter2@broker:6379/0",
            "WSPROGRESS_RESULT_BACKEND": "redis://:hunter2@results/0",
            "WSPROGRESS_TRANSPORT_OPTIONS": '{"sentinel_kwargs": {"password": "hunter2"}}',
        }
    )
    assert found["key"].value == found["keys"].value == found["transport_options"].value == HIDDEN
    assert found["url"].value == "redis://user:**@broker:6379/0"
    shown = " ".join(one.value for one in found.values())
    assert "hunter2" not in shown
    assert KEY not in shown


def test_lists_are_shown_as_they_are_given():
    found = lines(origins=("https://a.example", "https://b.example"))
    assert found["origins"].value == "https://a.example, https://b.example"


def test_the_command_shows_them_and_ends(monkeypatch):
    for name in ("WSPROGRESS_KEY", "WSPROGRESS_PORT", "WEBSOCKET_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "argv", ["celery-wsprogress"])
    arguments = [
        "serve",
        "--broker",
        "redis://:hunter2@localhost:1/0",
        "--port",
        "9000",
        "--show-config",
    ]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    shown = {line.split()[0]: line.split()[1:] for line in done.output.splitlines()}
    assert shown["broker"][0] == "redis://:**@localhost:1/0"
    assert shown["port"] == ["9000", "command", "line"]
    assert "hunter2" not in done.output
