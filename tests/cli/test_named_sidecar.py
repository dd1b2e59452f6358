"""The address of the sidecar and a token for it, from the application that a command names."""

from __future__ import annotations

import sys

import pytest
from support.programs import OURS, run
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress

KEY = "a key that is long enough for HS256"
CELERY = (sys.executable, "-m", "celery", "-A", "keyed", "wsprogress")


@pytest.fixture
def keyed(redis_url):
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        yield sidecar


@pytest.mark.parametrize(
    ("command", "options"), [(CELERY, []), (OURS, ["-A", "keyed"])], ids=["celery", "ours"]
)
def test_port_and_key_are_those_of_the_application(keyed, command, options):
    settings = {"KEYED_PORT": str(keyed.port), "KEYED_KEY": KEY}
    done = run("stats", *options, command=command, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "total_operations" in done.stdout


def test_without_an_application_the_environment_names_the_port(keyed):
    done = run("stats", WSPROGRESS_PORT=str(keyed.port))
    assert done.returncode == 2
    # It is there, and wants a token: a key in the environment is no token.
    assert "the token is read from --token-file or WSPROGRESS_TOKEN" in done.stderr


def test_what_is_given_wins(keyed):
    settings = {"KEYED_PORT": "1", "KEYED_KEY": KEY}
    done = run("stats", "--url", keyed.url, command=CELERY, **settings)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_key_that_the_sidecar_does_not_have(keyed):
    settings = {"KEYED_PORT": str(keyed.port), "KEYED_KEY": "x" * 40}
    done = run("stats", command=CELERY, **settings)
    assert done.returncode == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"KEYED_PORT": "0"}, "--url"),
        ({"KEYED_PORT": "1", "KEYED_KEY": "short"}, "wsprogress_key"),
        ({"KEYED_PORT": "1", "WSPROGRESS_PORT": "many"}, "wsprogress_port"),
    ],
)
def test_settings_that_cannot_be_used(settings, named):
    done = run("stats", command=CELERY, **settings)
    assert done.returncode == 2
    assert named in done.stderr
    assert "short" not in done.stderr


def test_an_application_that_cannot_be_loaded():
    done = run("stats", "-A", "nowhere.at.all")
    assert done.returncode == 2
    assert "cannot load the Celery application 'nowhere.at.all'" in done.stderr
