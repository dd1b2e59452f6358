"""The tag, in a template of a project."""

from __future__ import annotations

import pytest
from support.html_tags import HTMLTags

RENDER = """
request = RequestFactory().get("/")
request.user = {user}
text = "{{% load celery_wsprogress %}}{{% celery_progress " + {inside!r} + " %}}"
with override_settings(**{settings!r}):
    result = Template(text).render(RequestContext(request, {{"result": {result}}}))
"""


def render(shop, inside="result", *, user="anna", result="'abc'", **settings):
    return shop.run(RENDER.format(user=user, inside=inside, result=result, settings=settings))


def element(shop, *args, **options):
    return HTMLTags(render(shop, *args, **options)).found["celery-progress"]


def test_the_bar_of_a_task_has_the_address_and_a_token_for_the_user(shop, sidecar_port):
    found = HTMLTags(render(shop, "result label='Import'")).found
    address = f"localhost:{sidecar_port}"
    assert found["script"] == {"type": "module", "src": f"http://{address}/element.js"}
    token = found["celery-progress"].pop("token")
    expected = {"task-id": "abc", "url": f"ws://{address}", "label": "Import"}
    assert found["celery-progress"] == expected
    claims = shop.run(f"result = [claims({token!r}), anna.pk]")
    assert claims[0]["ops"] == ["id:abc"]
    assert claims[0]["can"] == ["watch"]
    assert claims[0]["sub"] == f"user-{claims[1]}"


def test_who_is_not_logged_in_is_nobody_in_the_token(shop):
    anonymous = "__import__('django.contrib.auth.models', fromlist=['x']).AnonymousUser()"
    token = element(shop, user=anonymous)["token"]
    assert "sub" not in shop.run(f"result = claims({token!r})")


@pytest.mark.parametrize(
    ("result", "name", "text"),
    [
        ("AsyncResult('abc')", "task-id", "abc"),
        ("AsyncResult('abc', parent=AsyncResult('first'))", "workflow-id", "abc"),
        ("GroupResult('many', [AsyncResult('abc')])", "workflow-id", "many"),
        ("'workflow:abc'", "workflow-id", "abc"),
    ],
)
def test_it_takes_what_celery_returns(shop, result, name, text):
    assert element(shop, result=result)[name] == text


def test_everything_is_escaped(shop):
    evil = '"><script>alert(1)</script>'
    text = render(shop, "result label=result", result=repr(evil))
    assert "<script>" not in text
    assert HTMLTags(text).found["celery-progress"]["label"] == evil


def test_without_a_task_there_is_nothing(shop):
    assert render(shop, result="None") == ""


def test_settings_are_read_when_the_page_is_made(shop):
    settings = {"WSPROGRESS_WS_URL": "/live", "WSPROGRESS_TOKEN_SECONDS": 60}
    found = element(shop, **settings)
    assert found["url"] == "/live"
    claims = shop.run(f"result = claims({found['token']!r})")
    assert claims["exp"] - claims["iat"] in {60, 61}


def test_the_modules_may_be_static_files_of_the_project(shop):
    apps = shop.run(
        "from django.conf import settings\nresult = [*settings.INSTALLED_APPS, 'celery_wsprogress']"
    )
    found = HTMLTags(render(shop, "result nonce='r4nd0m'", INSTALLED_APPS=apps)).found["script"]
    assert found["src"] == "/static/celery_wsprogress/element.js"
    assert found["nonce"] == "r4nd0m"
    found = shop.run(
        "from django.contrib.staticfiles import finders\n"
        f"with override_settings(INSTALLED_APPS={apps!r}):\n"
        "    finders.get_finder.cache_clear()\n"
        "    result = bool(finders.find('celery_wsprogress/element.js'))\n"
        "finders.get_finder.cache_clear()"
    )
    assert found


def test_a_key_that_cannot_be_used_fails_no_page(shop, monkeypatch):
    shop.run("import os; os.environ['WSPROGRESS_KEY'] = 'short'")
    try:
        assert "token" not in element(shop)
    finally:
        shop.run("del os.environ['WSPROGRESS_KEY']")
