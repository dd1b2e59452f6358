from __future__ import annotations

import json
import math
import time

import jwt
import pytest
from celery import Celery, current_app
from celery._state import _set_current_app
from support.tokens import verifier

from celery_wsprogress import create_token
from celery_wsprogress.access import issue
from celery_wsprogress.access.issue import DEFAULT_EXPIRES_IN, MAX_EXPIRES_IN
from celery_wsprogress.errors import ConfigurationError

KEY = "a key that is long enough for HS256"
OTHER_KEY = "another key that is long enough too"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("WSPROGRESS_KEY", raising=False)
    return monkeypatch


@pytest.fixture(autouse=True)
def app():
    """The current Celery application, and the former one afterwards."""
    former = current_app._get_current_object()
    app = Celery("tokens", set_as_current=True)
    yield app
    _set_current_app(former)


def granted(token, key=KEY):
    patterns = verifier(key).read(token, timestamp=time.time()).patterns
    return {one.value for one in patterns}


def test_whether_a_key_is_set(environment, app):
    assert not issue.has_key()
    environment.setenv("WSPROGRESS_KEY", KEY)
    assert issue.has_key()
    environment.delenv("WSPROGRESS_KEY")
    app.conf.wsprogress_keys = {"new": KEY}
    assert issue.has_key()


def test_a_key_that_is_too_short_is_an_error(environment):
    environment.setenv("WSPROGRESS_KEY", "short")
    with pytest.raises(ConfigurationError, match="key"):
        issue.has_key()


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ("op", {"op"}),
        (["a", "b", "a"], {"a", "b"}),
        (("a",), {"a"}),
        ((one for one in "ab"), {"a", "b"}),
        ("*", {"*"}),
        ([], set()),
    ],
)
def test_it_grants_these_operations(ids, expected):
    assert granted(create_token(ids, key=KEY)) == expected


@pytest.mark.parametrize("expires_in", [0.25, 1, 90.5, DEFAULT_EXPIRES_IN, MAX_EXPIRES_IN])
def test_it_lasts_as_long_as_it_should_at_least(expires_in):
    before = time.time()
    token = create_token("op", expires_in, key=KEY)
    after = time.time()
    claims = jwt.decode(token, KEY, algorithms=["HS256"])
    assert before + expires_in <= claims["exp"] < after + expires_in + 1


@pytest.mark.parametrize("expires_in", [0, -1, math.nan, math.inf, -math.inf, 1e300])
def test_a_time_that_is_none_is_named(expires_in):
    with pytest.raises(ConfigurationError, match=r"expires_in is .* but must be seconds above 0"):
        create_token("op", expires_in, key=KEY)


@pytest.mark.parametrize("ids", [[7], [None], "", ["op", ""], [b"op"]])
def test_ids_that_are_none_are_named(ids):
    with pytest.raises(ConfigurationError, match=r"ids is .* but must be operation ids"):
        create_token(ids, key=KEY)


def test_the_key_of_the_environment(environment):
    environment.setenv("WSPROGRESS_KEY", KEY)
    assert granted(create_token("op")) == {"op"}


def test_the_key_of_the_celery_application(app):
    app.conf.wsprogress_key = KEY
    assert granted(create_token("op")) == {"op"}


def test_the_environment_wins_over_the_application(environment, app):
    app.conf.wsprogress_key = OTHER_KEY
    environment.setenv("WSPROGRESS_KEY", KEY)
    assert granted(create_token("op")) == {"op"}


def test_a_key_that_is_given_wins_over_all(environment, app):
    app.conf.wsprogress_key = OTHER_KEY
    environment.setenv("WSPROGRESS_KEY", OTHER_KEY)
    assert granted(create_token("op", key=KEY)) == {"op"}


def test_other_settings_are_nobodys_business_here(environment):
    environment.setenv("WSPROGRESS_PORT", "nonsense")
    environment.setenv("WSPROGRESS_KEY", KEY)
    assert create_token("op")


def test_without_a_key_the_setting_is_named():
    with pytest.raises(ConfigurationError, match=r"wsprogress_key .*WSPROGRESS_KEY"):
        create_token("op")


def test_a_key_that_is_too_short_is_not_shown(environment):
    environment.setenv("WSPROGRESS_KEY", "hunter2")
    with pytest.raises(ConfigurationError) as caught:
        create_token("op")
    assert "at least 32 bytes" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def test_patterns_rights_view_and_names_are_claims():
    token = create_token(
        "op",
        ops=["tag:t", "group:g"],
        can=["watch"],
        view="progress",
        sub="user",
        jti="t1",
        key=KEY,
    )
    claims = claims_of(token)
    del claims["iat"], claims["exp"]
    assert claims == {
        "ids": ["op"],
        "ops": ["group:g", "tag:t"],
        "can": ["watch"],
        "view": "progress",
        "sub": "user",
        "jti": "t1",
    }
    assert verifier(KEY).read(token, timestamp=time.time()).view == "progress"


def test_nothing_is_granted_by_an_empty_list():
    token = create_token(ops="group:g", can=[], key=KEY)
    assert claims_of(token)["can"] == []
    assert "ids" not in claims_of(token)
    assert verifier(KEY).read(token, timestamp=time.time()).rights == frozenset()


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ({"ops": "sub:"}, "ops"),
        ({"ops": ["group:"]}, "ops"),
        ({"ops": [7]}, "ops"),
        ({"can": ["fly"]}, "can"),
        ({"view": "some"}, "view"),
        ({"sub": ""}, "sub"),
        ({"jti": "x" * 300}, "jti"),
        ({"jti": 7}, "jti"),
    ],
)
def test_a_claim_that_is_none_is_named(what, name):
    with pytest.raises(ConfigurationError, match=f"{name} is"):
        create_token("op", key=KEY, **what)


def test_the_first_of_several_keys_signs_with_its_name(environment):
    environment.setenv("WSPROGRESS_KEY", OTHER_KEY)
    environment.setenv("WSPROGRESS_KEYS", json.dumps({"new": KEY, "old": OTHER_KEY}))
    token = create_token("op")
    assert jwt.get_unverified_header(token)["kid"] == "new"
    assert granted(token) == {"op"}


def test_a_key_that_is_given_has_the_name_that_is_given(environment):
    environment.setenv("WSPROGRESS_KEYS", json.dumps({"new": OTHER_KEY}))
    assert "kid" not in jwt.get_unverified_header(create_token("op", key=KEY))
    assert jwt.get_unverified_header(create_token("op", key=KEY, kid="k"))["kid"] == "k"


def test_issuer_and_audience_are_those_of_the_settings(environment):
    environment.setenv("WSPROGRESS_TOKEN_ISSUERS", "https://shop.example,other")
    environment.setenv("WSPROGRESS_TOKEN_AUDIENCES", "progress")
    claims = claims_of(create_token("op", key=KEY))
    assert (claims["iss"], claims["aud"]) == ("https://shop.example", "progress")
