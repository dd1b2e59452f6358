"""The element as HTML: what it follows, its token, and that everything is escaped."""

from __future__ import annotations

import uuid

import jinja2
import jwt
import pytest
from celery import Celery
from celery.result import AsyncResult, GroupResult
from support.html_tags import HTMLTags

from celery_wsprogress import start
from celery_wsprogress.contrib.html import SafeHtml, operation_token, progress_element, served_at
from celery_wsprogress.errors import ConfigurationError

KEY = "only for these tests: 32 bytes and more"


def tags_of(*args, **options):
    return HTMLTags(progress_element(*args, **options)).found


def claims_of(token):
    return jwt.decode(token, KEY, algorithms=["HS256"])


@pytest.fixture
def app():
    return Celery("html", broker="memory://", backend="cache+memory://", set_as_current=False)


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in ("KEY", "KEYS", "WS_URL"):
        monkeypatch.delenv(f"WSPROGRESS_{name}", raising=False)


def test_a_task_has_a_bar_and_its_module():
    assert tags_of("abc") == {
        "script": {"type": "module", "src": "http://localhost:8765/element.js"},
        "celery-progress": {"task-id": "abc", "url": "ws://localhost:8765"},
    }


def test_the_address_of_the_environment_counts_unless_one_is_given(monkeypatch):
    monkeypatch.setenv("WSPROGRESS_WS_URL", "wss://example.org/progress")
    found = tags_of("abc")
    assert found["script"]["src"] == "https://example.org/progress/element.js"
    assert found["celery-progress"]["url"] == "wss://example.org/progress"
    assert tags_of("abc", url="/live/")["script"]["src"] == "/live/element.js"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://localhost:8765", "http://localhost:8765/"),
        ("wss://example.org/progress/?a=b#c", "https://example.org/progress/"),
        ("https://example.org", "https://example.org/"),
        ("/progress", "/progress/"),
    ],
)
def test_a_sidecar_serves_its_pages_where_its_socket_is(url, expected):
    assert served_at(url) == expected


def test_a_workflow_is_followed_by_the_id_that_its_caller_holds(app):
    first = AsyncResult("first", app=app)
    last = AsyncResult("last", parent=first, app=app)
    shown = {
        "task-id": ["abc", uuid.UUID(int=1), first],
        "workflow-id": ["workflow:abc", last, GroupResult("many", [first], app=app)],
    }
    for name, results in shown.items():
        for result in results:
            text = str(getattr(result, "id", result)).removeprefix("workflow:")
            assert tags_of(result)["celery-progress"][name] == text


def test_what_was_started_is_followed(app):
    @app.task(name="html.nothing")
    def nothing():
        pass

    one, two = start(nothing), start(nothing.si() | nothing.si())
    assert tags_of(one)["celery-progress"]["task-id"] == one.id
    assert tags_of(two)["celery-progress"]["workflow-id"] == two.id


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_has_no_bar(nothing):
    assert progress_element(nothing) == ""


def test_a_token_lets_its_holder_watch_this_and_nothing_else():
    token = tags_of("abc", key=KEY, sub="user-17", expires_in=60)["celery-progress"]["token"]
    claims = claims_of(token)
    assert claims.pop("exp") - claims.pop("iat") in {60, 61}
    assert claims == {"ops": ["id:abc"], "can": ["watch"], "sub": "user-17"}


def test_of_a_workflow_it_opens_the_tasks_as_well(monkeypatch):
    monkeypatch.setenv("WSPROGRESS_KEY", KEY)
    token = tags_of("workflow:abc", cancellable=True)["celery-progress"]["token"]
    claims = claims_of(token)
    assert claims["ops"] == ["id:abc", "workflow:abc"]
    assert claims["can"] == ["watch", "cancel"]


@pytest.mark.parametrize("text", ["*", "tag:nightly", "id:abc", "type:*"])
def test_what_looks_like_a_pattern_is_an_id(text):
    assert claims_of(operation_token(text, 60, key=KEY))["ops"] == [f"id:{text}"]


def test_a_token_that_there_is_counts_and_none_may_be_left_out():
    assert tags_of("abc", token="mine", key=KEY)["celery-progress"]["token"] == "mine"
    assert "token" not in tags_of("abc", token="", key=KEY)["celery-progress"]


def test_a_short_key_is_refused():
    with pytest.raises(ConfigurationError, match="wsprogress_key"):
        progress_element("abc", key="short")


def test_attributes_are_passed_through_and_escaped():
    evil = "\"><script>alert('1')</script>&"
    found = tags_of(
        evil, label=evil, class_="wide", no_result=True, cancellable=False, token=None, data_row=7
    )
    assert found["celery-progress"] == {
        "task-id": evil, "url": "ws://localhost:8765",
        "label": evil, "class": "wide", "no-result": None, "data-row": "7",
    }  # fmt: skip
    assert "<script>" not in progress_element(evil, label=evil)
    assert "alert" not in str(found["script"])


@pytest.mark.parametrize("name", ["a b", "A", 'a"', "1", "_"])
def test_a_name_that_is_none_of_an_attribute_is_refused(name):
    with pytest.raises(ValueError, match="is not the name of an attribute"):
        progress_element("abc", **{name: "x"})


def test_a_script_may_come_from_elsewhere_and_have_a_nonce():
    found = tags_of("abc", module="/static/element.js", nonce="r4nd0m")
    assert found["script"] == {"type": "module", "src": "/static/element.js", "nonce": "r4nd0m"}


def test_jinja_inserts_it_as_it_is():
    template = jinja2.Environment(autoescape=True).from_string("{{ bar('abc', label='<b>') }}")
    shown = template.render(bar=progress_element)
    assert shown == progress_element("abc", label="<b>")
    assert 'label="&lt;b&gt;"' in shown
    assert isinstance(progress_element(""), SafeHtml)
