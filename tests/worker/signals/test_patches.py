from __future__ import annotations

import functools

import pytest

from celery_wsprogress.worker.signals.patches import with_callback


def celerys(heard):
    """A function that says what it got."""

    def function(*arguments, **named):
        heard.append(("celery's", arguments, named))
        return "returned"

    return function


def ours(heard):
    def then(*arguments, **named):
        heard.append(("ours", arguments, named))

    return then


def test_ours_follows_with_the_same_arguments():
    heard = []
    function = with_callback(celerys(heard), ours(heard))
    assert function(1, a=2) == "returned"
    assert heard == [("celery's", (1,), {"a": 2}), ("ours", (1,), {"a": 2})]


def test_it_is_a_method_as_before():
    heard = []

    class Backend:
        fail = celerys(heard)

    Backend.fail = with_callback(Backend.fail, ours(heard))
    backend = Backend()
    assert backend.fail("why") == "returned"
    assert heard[1] == ("ours", (backend, "why"), {})


def test_ours_is_called_once_however_often_it_is_put_there():
    heard = []
    function = with_callback(celerys(heard), ours(heard))
    assert with_callback(function, ours(heard)) is function

    @functools.wraps(function)
    def instrumented(*arguments, **named):
        """As somebody else's library does it."""
        return function(*arguments, **named)

    with_callback(instrumented, ours(heard))()
    assert [who for who, _, _ in heard] == ["celery's", "ours"]


def test_what_celery_raises_is_raised_and_not_followed():
    heard = []

    def function():
        raise KeyError("celery's")

    with pytest.raises(KeyError, match="celery's"):
        with_callback(function, ours(heard))()
    assert heard == []


def test_what_celery_raises_may_be_followed():
    heard = []

    def function():
        raise KeyError("celery's")

    with pytest.raises(KeyError, match="celery's"):
        with_callback(function, ours(heard), after_errors=True)()
    assert heard == [("ours", (), {})]


def test_what_ours_raises_is_logged_without_its_text(caplog):
    def then(_argument):
        raise ValueError("a secret")

    assert with_callback(celerys([]), then)("a secret") == "returned"
    assert "Task events: then failed (ValueError)" in caplog.text
    assert "a secret" not in caplog.text.replace('raise ValueError("a secret")', "")
