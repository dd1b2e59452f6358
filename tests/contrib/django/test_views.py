"""The view that gives tokens, over Django's own test client."""

from __future__ import annotations

import pytest

SESSION = """
client = Client()
client.force_login({user})
session = client.session
session["import"] = "abc"
session.save()
"""
ANSWER = """
answer = client.{how}("/progress/token", {data!r})
result = [answer.status_code, json.loads(answer.content), answer.headers.get("Cache-Control")]
"""


def ask(shop, data, *, user="anna", how="get", where=""):
    """The status and the content of an answer to a user whose import is ``abc``."""
    shop.run(SESSION.format(user=user))
    code = ANSWER.format(how=how, data=data)
    if where:
        code = f"with override_settings({where}):\n" + "".join(
            f"    {line}\n" for line in code.strip().splitlines()
        )
    status, content, cached = shop.run(code)
    assert "no-store" in cached
    return status, content


@pytest.mark.parametrize("how", ["get", "post"])
def test_who_the_function_permits_gets_a_token_for_this_operation(shop, how):
    status, content = ask(shop, {"operation": "abc"}, how=how)
    assert status == 200
    assert content["expires_in"] == 3600
    claims = shop.run(f"result = claims({content['token']!r})")
    expected = {"ops": ["id:abc"], "can": ["watch"], "sub": shop.run("result = f'user-{anna.pk}'")}
    assert {name: claims[name] for name in ("ops", "can", "sub")} == expected


@pytest.mark.parametrize("text", ["other", "*", "id:abc", "workflow:abc", "tag:nightly"])
def test_everything_else_is_refused(shop, text):
    status, content = ask(shop, {"operation": text})
    assert (status, list(content)) == (403, ["error"])


@pytest.mark.parametrize("data", [{}, {"operation": ""}, {"operation": "workflow:"}])
def test_without_an_id_there_is_no_token(shop, data):
    assert ask(shop, data)[0] == 400


def test_an_id_that_no_operation_can_have_is_none(shop):
    assert ask(shop, {"operation": "a" * 1_001})[0] == 400


@pytest.mark.parametrize(("user", "status"), [("anna", 403), ("otto", 200)])
def test_by_default_only_staff_gets_tokens(shop, user, status):
    where = "WSPROGRESS_TOKEN_PERMIT=None"
    assert ask(shop, {"operation": "abc"}, user=user, where=where)[0] == status


def test_by_default_who_is_not_logged_in_gets_none(shop):
    assert (
        shop.run(
            "with override_settings(WSPROGRESS_TOKEN_PERMIT=None):\n"
            "    result = Client().get('/progress/token', {'operation': 'abc'}).status_code"
        )
        == 403
    )


def test_of_a_workflow_the_token_opens_its_tasks(shop):
    where = "WSPROGRESS_TOKEN_PERMIT=None, WSPROGRESS_TOKEN_SECONDS=60"
    _, content = ask(shop, {"operation": "workflow:abc"}, user="otto", where=where)
    assert content["expires_in"] == 60
    claims = shop.run(f"result = claims({content['token']!r})")
    assert claims["ops"] == ["id:abc", "workflow:abc"]


def test_another_site_cannot_post(shop):
    code = "Client(enforce_csrf_checks=True).post('/progress/token', {'operation': 'abc'})"
    assert shop.run(f"result = {code}.status_code") == 403
