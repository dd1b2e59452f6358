"""What the author of a task shows of its arguments and hides of its values."""

from __future__ import annotations

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from support.json_values import objects

from celery_wsprogress import StreamingTask
from celery_wsprogress.worker import policies
from celery_wsprogress.worker.redaction import (
    REDACTED,
    Redactor,
    exposed_arguments,
    find_redactor,
)

CANARY = "tweet-tweet"


def task_of(function=None, **own):
    app = Celery("t", broker="memory://", set_as_current=False)
    app.conf.update(own.pop("conf", {}))
    function = function or (lambda a, b=2, *rest, c=3, **others: None)
    function.__name__ = "demo"
    return app.task(function, base=StreamingTask, name="demo", shared=False, **own)


def test_no_argument_is_shown_by_default():
    assert exposed_arguments(task_of(), (CANARY,), {"c": CANARY}) == {}


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["a"], {"a": 1}),
        ("a", {"a": 1}),
        (("b", "c", "d"), {"c": 5, "d": 6}),
        (["nobody"], {}),
        (["rest", "others"], {}),
        ([["a"]], {}),
        (7, {}),
    ],
)
def test_the_named_arguments_are_shown(names, shown):
    task = task_of(expose_args=names)
    assert exposed_arguments(task, (1,), {"c": 5, "d": 6}) == shown


def test_of_a_bound_task_self_is_no_argument():
    def demo(self, order):
        pass

    task = task_of(demo, expose_args=["order", "self"])
    assert exposed_arguments(task, (7,), {}) == {"order": 7}


def test_what_does_not_fit_the_task_is_not_shown_and_breaks_nothing():
    task = task_of(lambda a: None, expose_args=["a"])
    assert exposed_arguments(task, (1, 2, 3), {}) == {}
    assert exposed_arguments(task, None, None) == {}


def test_arguments_are_shown_as_json():
    found = exposed_arguments(task_of(expose_args=["a"]), ({1, float("nan")},), {})
    assert isinstance(found["a"], list)


def test_the_header_has_them_beside_the_caller_s_metadata():
    task, header = task_of(expose_args=["a"]), {"metadata": {"customer": 7}, "follow": True}
    found = policies.with_exposed_arguments(task, header, (1,), {})
    assert found == {"metadata": {"customer": 7, "a": 1}, "follow": True}
    assert policies.with_exposed_arguments(task_of(), header, (1,), {}) is header


def test_names_are_hidden_at_any_depth_and_in_any_case():
    redactor = Redactor("t", ["password", "*token*"])
    value = {"Password": CANARY, "parts": [{"my_token_1": [CANARY], "open": 1}], "pass": 2}
    assert redactor.to_object(value) == {
        "Password": REDACTED,
        "parts": [{"my_token_1": REDACTED, "open": 1}],
        "pass": 2,
    }
    assert redactor.result([value])[0]["Password"] == REDACTED
    assert redactor.to_object(None) == {}


def test_a_large_value_is_redacted_before_it_is_cut():
    large = {"password": CANARY, "rows": ["x" * 100] * 1_000}
    assert CANARY not in str(Redactor("t", ["password"]).to_object(large))


@given(objects)
def test_without_a_name_that_is_hidden_nothing_changes(value):
    redactor = Redactor("t", ["no such name"])
    assert redactor.result(value) == Redactor("t").result(value)


@given(st.dictionaries(st.text(), st.text()))
def test_everything_can_be_hidden(value):
    assert set(Redactor("t", ["*"]).to_object(value).values()) <= {REDACTED}


def raises(value):
    raise ValueError(value)


@pytest.mark.parametrize("function", [raises, lambda: None, lambda value: value["nothing"]])
def test_an_exception_publishes_nothing_of_the_value_and_is_said_once(function, caplog):
    redactor = Redactor("demo", [], function)
    assert redactor.to_object({"secret": CANARY}) == {}
    assert redactor.result({"secret": CANARY}) == REDACTED
    assert len(caplog.records) == 1
    assert "redact of the task demo raises" in caplog.text
    assert CANARY not in caplog.text


def test_the_soft_time_limit_of_celery_passes_through():
    class SoftTimeLimitExceeded(Exception):
        pass

    def slow(value):
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        Redactor("demo", [], slow).result(1)


def test_a_function_may_be_one_of_the_task_or_not():
    def plain(value):
        return {"plain": value["a"]}

    def bound(self, value):
        return {self.name: value["a"]}

    class Callable:
        def __call__(self, value):
            return {"object": value["a"]}

    def shown(redact):
        return find_redactor(task_of(redact=redact), ()).to_object({"a": 1})

    assert shown(plain) == {"plain": 1}
    assert shown(staticmethod(plain)) == {"plain": 1}
    assert shown(bound) == {"demo": 1}
    assert shown(Callable()) == {"object": 1}


def test_the_names_of_the_settings_are_hidden_besides_those_of_the_task():
    conf = {"wsprogress_redact": ["password"]}
    value = {"password": 1, "iban": 2, "open": 3}
    for own, hidden in ((None, {"password"}), (["iban"], {"password", "iban"})):
        shown = policies.policy_of(task_of(conf=conf, redact=own)).redactor.to_object(value)
        assert {name for name, one in shown.items() if one == REDACTED} == hidden
    assert policies.policy_of(task_of()).redactor is None
    assert find_redactor(task_of(redact="iban"), ()).to_object(value)["iban"] == REDACTED


@pytest.mark.parametrize("own", [7, [7], {"a": 1}])
def test_what_means_nothing_hides_everything_and_is_said(own, caplog):
    redactor = find_redactor(task_of(redact=own), ())
    assert redactor.to_object({"a": CANARY}) == {}
    assert redactor.result(CANARY) == REDACTED
    assert "redact of the task demo must be a function or a list of names" in caplog.text


def test_a_sidecar_does_not_show_what_it_cannot_redact():
    assert policies.run_options_of(task_of(redact=["a"]), {})["stream_result"] is False
    assert policies.run_options_of(task_of(), {})["stream_result"] is True
