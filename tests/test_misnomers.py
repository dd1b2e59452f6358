from __future__ import annotations

import pytest
from celery import Celery

from celery_wsprogress import misnomers


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WSPROGRESS_PROT", "WSPROGRESS_PORT"),
        ("WSPROGRESS_ORIGIN", "WSPROGRESS_ORIGINS"),
        ("WSPROGRESS_ALLOWED_HOSTS", "WSPROGRESS_HOSTS"),
        ("WSPROGRESS_stream_results", "WSPROGRESS_STREAM_RESULT"),
        ("WSPROGRESS_XYZZY", None),
    ],
)
def test_a_variable_nobody_reads_is_said_with_the_one_that_was_meant(name, meant):
    [sentence] = misnomers.in_environment({name: "1", "PATH": "/bin", "WSPROGRESS_PORT": "1"})
    assert sentence.startswith(f"{name} is no setting")
    assert sentence.endswith(f"was {meant} meant?" if meant else "changes nothing")


def test_each_side_knows_the_names_of_the_other():
    known = ("TASKS", "PORT", "KEY", "URL", "APP", "BROKER", "LOG_LEVEL", "TOKEN", "WS_URL")
    assert misnomers.in_environment({f"WSPROGRESS_{name}": "1" for name in known}) == []


@pytest.mark.parametrize("service", ["", "SIDECAR_", "MAX_"])
def test_the_links_of_a_service_of_kubernetes_are_none(service):
    links = {
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT": "8765",
        "SERVICE_PORT_HTTP": "8765",
        "PORT": "tcp://10.0.0.7:8765",
        "PORT_8765_TCP": "tcp://10.0.0.7:8765",
        "PORT_8765_TCP_PROTO": "tcp",
        "PORT_8765_TCP_PORT": "8765",
        "PORT_8765_TCP_ADDR": "10.0.0.7",
    }
    environ = {f"WSPROGRESS_{service}{name}": value for name, value in links.items()}
    assert misnomers.in_environment(environ) == []


def configured(how):
    app = Celery("named", set_as_current=False)
    if how == "attribute":
        assert app.conf.broker_url is None
        app.conf.wsprogress_stream_results = False
    elif how == "update":
        app.conf.update(wsprogress_stream_results=False)
    elif how == "mapping":
        app.config_from_object({"wsprogress_stream_results": False})
    elif how == "namespace":
        settings = type("Settings", (), {"CELERY_WSPROGRESS_STREAM_RESULTS": False})
        app.config_from_object(settings, namespace="CELERY")
    elif how == "namespace, as it should be":
        settings = type("Settings", (), {"CELERY_WSPROGRESS_STREAM_RESULT": False})
        app.config_from_object(settings, namespace="CELERY")
    elif how == "capitals":
        app.conf.update(WSPROGRESS_STREAM_RESULT=False)
    else:
        app.conf.update(wsprogress_stream_result=False, wsprogress_port=1, task_acks_late=True)
    return app.conf


@pytest.mark.parametrize("how", ["attribute", "update", "mapping", "namespace", "capitals"])
def test_a_key_nobody_reads_is_said_however_it_was_set(how):
    [sentence] = misnomers.in_conf(configured(how))
    assert (
        sentence.upper()
        .split()[0]
        .endswith("WSPROGRESS_STREAM_RESULT" if how == "capitals" else "WSPROGRESS_STREAM_RESULTS")
    )
    assert sentence.endswith("was wsprogress_stream_result meant?")


@pytest.mark.parametrize("how", ["as they should be", "namespace, as it should be"])
def test_keys_that_are_read_are_not_said(how):
    assert misnomers.in_conf(configured(how)) == []


def test_settings_of_the_django_app_are_known_as_django_writes_them():
    django = {"WSPROGRESS_WS_URL": "/progress", "WSPROGRESS_TOKEN_PERMIT": "shop.may_watch"}
    assert misnomers.in_conf(django) == []
    [sentence] = misnomers.in_conf({"wsprogress_token_permit": "shop.may_watch"})
    assert sentence.startswith("wsprogress_token_permit is no setting")


def test_a_value_is_never_said():
    secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
    assert secret not in str(misnomers.in_environment({"WSPROGRESS_KEYS": secret}))
    assert secret not in str(misnomers.in_conf({"wsprogress_keys": secret}))
