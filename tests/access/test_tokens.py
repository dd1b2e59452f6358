from __future__ import annotations

import json
from contextlib import suppress

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.json_values import nested, texts, values
from support.tokens import KEY, NOW, OTHER_KEY, token, verifier

from celery_wsprogress.access.grants import DEFAULT_RIGHTS, Pattern, PatternKind, Right, View
from celery_wsprogress.access.keys import HS256, KeySet, VerificationKey
from celery_wsprogress.access.revocations import parse_revocations
from celery_wsprogress.access.tokens import (
    MAX_NAME_LENGTH,
    MAX_TOKEN_LENGTH,
    NOT_BEFORE_LEEWAY,
    TokenVerifier,
    read_claims,
    sign,
)
from celery_wsprogress.errors import TokenError


def read(one, *, timestamp=NOW, **more):
    return verifier(**more).read(one, timestamp=timestamp)


def ids_of(ids):
    return frozenset(Pattern(PatternKind.ID, one) for one in ids)


def signed(claims, *, key=KEY, **how):
    """A token with claims of any kind."""
    return jwt.encode(claims, key, **({"algorithm": "HS256"} | how))


def signed_text(header, payload, key=KEY):
    """A token whose parts are given as text, signed as it should be."""
    encode = jwt.utils.base64url_encode
    message = encode(header.encode()) + b"." + encode(payload.encode())
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return (message + b"." + encode(signature.sign(message, key.encode()))).decode()


def signed_claims(claims):
    """As :func:`signed`, where PyJWT would refuse to sign it."""
    return signed_text(HEADER, json.dumps(claims))


HEADER = '{"alg": "HS256", "typ": "JWT"}'


@given(st.lists(texts, max_size=5), st.floats(0.001, 1e9))
def test_a_token_is_read_as_it_was_signed(ids, lasting):
    grant = read(token(*ids, lasting=lasting))
    assert grant.patterns == ids_of(ids)
    assert 0 <= grant.expires_at - (NOW + lasting) < 1


def test_a_token_ends_at_its_end():
    one = token("op", lasting=60)
    assert read(one, timestamp=NOW + 59.9)
    with pytest.raises(TokenError, match="expired"):
        read(one, timestamp=NOW + 60)


FORGED = {
    "another key": token("op", key=OTHER_KEY),
    "no signature": token("op").rpartition(".")[0] + ".",
    "two parts": token("op").rpartition(".")[0],
    "alg none": signed({"ids": ["op"], "exp": NOW + 60}, key=None, algorithm="none"),
    "alg none by hand": signed_text('{"alg": "none"}', '{"ids": ["op"], "exp": 9999999999}'),
    "another alg": signed({"ids": ["op"], "exp": NOW + 60}, key=KEY * 2, algorithm="HS512"),
    "alg a list": signed_text('{"alg": ["HS256"]}', '{"ids": ["op"], "exp": 9999999999}'),
    "without alg": signed_text("{}", '{"ids": ["op"], "exp": 9999999999}'),
    "critical header": signed_text('{"alg": "HS256", "crit": ["x"]}', '{"ids": [], "exp": 9e9}'),
    "payload a list": signed_text(HEADER, "[]"),
    "payload no json": signed_text(HEADER, "{"),
    "payload too deep": signed_text(HEADER, nested(20_000)),
    "header too deep": signed_text(nested(20_000), "{}"),
    "digits without end": signed_text(HEADER, '{"ids": ["op"], "exp": 1%s}' % ("0" * 5000)),
    "empty": "",
    "word": "token",
    "dots": "..",
    "surrogate": "a\udcff.b.c",
    "null byte": "\x00",
    "None": None,
    "number": 7,
    "bytes": token("op").encode(),
    "list": [token("op")],
}

WITHOUT_SENSE = {
    "no claims": {},
    "no ids": {"exp": NOW + 60},
    "no end": {"ids": ["op"]},
    "ids a text": {"ids": "op", "exp": NOW + 60},
    "ids everything as text": {"ids": "*", "exp": NOW + 60},
    "ids an object": {"ids": {"op": True}, "exp": NOW + 60},
    "ids of numbers": {"ids": [1], "exp": NOW + 60},
    "ids mixed": {"ids": ["op", None], "exp": NOW + 60},
    "ids null": {"ids": None, "exp": NOW + 60},
    "end a text": {"ids": ["op"], "exp": str(NOW + 60)},
    "end true": {"ids": ["op"], "exp": True},
    "end null": {"ids": ["op"], "exp": None},
    "end NaN": {"ids": ["op"], "exp": float("nan")},
    "end infinite": {"ids": ["op"], "exp": float("inf")},
    "end of 400 digits": {"ids": ["op"], "exp": 10**400},
    "end in milliseconds": {"ids": ["op"], "exp": NOW * 1000},
    "expired": {"ids": ["op"], "exp": NOW},
    "long expired": {"ids": ["op"], "exp": -(10**400)},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_token_is_refused_and_not_repeated(forged):
    with pytest.raises(TokenError) as caught:
        read(forged)
    assert str(caught.value) in {
        "The token is not valid",
        "The token is not a string",
        "The token is too long",
    }


@pytest.mark.parametrize("claims", WITHOUT_SENSE.values(), ids=WITHOUT_SENSE)
def test_a_token_without_sense_is_refused(claims):
    with pytest.raises(TokenError, match=r"no valid claim|expired"):
        read(signed_text(HEADER, json.dumps(claims)))


NAMES = ["ids", "ops", "exp", "can", "view", "sub", "jti", "nbf", "aud", "iss"]


@given(texts | values | st.dictionaries(st.sampled_from(NAMES), values).map(signed_claims))
@example(signed({"ids": [], "exp": NOW + 1}))
def test_any_token_is_a_grant_or_refused(something):
    with suppress(TokenError):
        grant = read(something)
        payload = json.loads(jwt.utils.base64url_decode(something.split(".")[1]))
        assert grant.expires_at == payload["exp"] > NOW
        assert len(grant.patterns) <= len(payload.get("ids") or ()) + len(payload.get("ops") or ())


@pytest.mark.parametrize(
    "one", ["x" * (MAX_TOKEN_LENGTH + 1), "x" * 3_000 + ".y.z"], ids=["token", "header"]
)
def test_a_token_that_is_too_long_is_not_looked_at(one):
    with pytest.raises(TokenError, match="too long"):
        read(one)


# Claims.


def grant_of(**claims):
    return read_claims({"ops": [], "exp": NOW + 60, **claims}, timestamp=NOW)


def test_operations_are_named_by_ids_and_by_patterns():
    ops = ["op", "id:tag:x", "type:proj.*", "tag:red", "group:g", "root:r", "a:b", "*"]
    assert grant_of(ids=["tag:plain"], ops=ops).patterns == {
        (PatternKind.ID, "tag:plain"),
        (PatternKind.ID, "op"),
        (PatternKind.ID, "tag:x"),
        (PatternKind.TYPE, "proj.*"),
        (PatternKind.TAG, "red"),
        (PatternKind.GROUP, "g"),
        (PatternKind.ROOT, "r"),
        (PatternKind.ID, "a:b"),
        (PatternKind.ID, "*"),
    }


def test_a_token_without_more_grants_what_it_always_did():
    grant = grant_of()
    assert grant.rights == DEFAULT_RIGHTS == {Right.WATCH, Right.LIST, Right.STATS}
    assert (grant.view, grant.subject, grant.token_id) == (View.FULL, None, None)


def test_rights_view_and_names():
    grant = grant_of(can=["watch", "cancel", "fly"], view="progress", sub="user", jti="t1")
    assert grant.rights == {Right.WATCH, Right.CANCEL}
    assert (grant.view, grant.subject, grant.token_id) == (View.PROGRESS, "user", "t1")


@pytest.mark.parametrize(
    "claims",
    [
        {"ops": "op"},
        {"ops": [7]},
        {"ops": [""]},
        {"ops": ["group:"]},
        {"ops": ["sub:"]},
        {"ops": ["type:" + "a" * 201]},
        {"can": "watch"},
        {"can": [1]},
        {"view": "none"},
        {"view": None},
        {"view": ["full"]},
        {"sub": 7},
        {"sub": ""},
        {"jti": "x" * (MAX_NAME_LENGTH + 1)},
        {"nbf": "soon"},
        {"nbf": True},
        {"nbf": float("nan")},
    ],
    ids=str,
)
def test_a_claim_without_sense_is_named(claims):
    [name] = claims
    with pytest.raises(TokenError, match=f"no valid claim `{name}`"):
        grant_of(**claims)


def test_a_token_is_refused_before_its_time_but_for_clocks_that_are_ahead():
    assert grant_of(nbf=NOW + NOT_BEFORE_LEEWAY)
    with pytest.raises(TokenError, match="not valid yet"):
        grant_of(nbf=NOW + NOT_BEFORE_LEEWAY + 1)


# Whose token it is, and for whom.


def test_the_issuer_is_anybody_with_the_key_unless_issuers_are_set():
    assert read(token("op", iss="somebody"))
    assert read(token("op", iss="ours"), issuers=["ours", "too"])
    for claims in ({}, {"iss": "somebody"}, {"iss": ["ours"]}):
        with pytest.raises(TokenError, match="issuer"):
            read(signed_claims({"ids": [], "exp": NOW + 1, **claims}), issuers=["ours"])


@pytest.mark.parametrize("audience", ["here", ["there", "here"]])
def test_an_audience_that_is_set_must_be_named(audience):
    assert read(token("op", aud=audience), audiences=["here", "too"])


@pytest.mark.parametrize("audience", [None, "there", ["there"], [], {"here": 1}, 7])
def test_a_token_for_another_audience_is_refused(audience):
    with pytest.raises(TokenError, match="audience"):
        read(token("op", aud=audience), audiences=["here"])


def test_without_an_audience_a_token_for_one_is_for_somebody_else():
    with pytest.raises(TokenError, match="audience"):
        read(token("op", aud="somebody"))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "application/jwt", "at+JWT"])
def test_types_of_tokens_that_grant_access(kind):
    assert read(signed({"ids": [], "exp": NOW + 1}, headers={"typ": kind}))


@pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "", 7, None])
def test_a_token_of_another_type_is_refused(kind):
    header = json.dumps({"alg": "HS256", "typ": kind})
    with pytest.raises(TokenError, match="purpose"):
        read(signed_text(header, json.dumps({"ids": [], "exp": NOW + 1})))


# Several keys.


def test_keys_are_rotated_by_their_names():
    old, new = VerificationKey(HS256, KEY, "old"), VerificationKey(HS256, OTHER_KEY, "new")
    claims = {"ids": ["op"], "exp": NOW + 60}
    both = TokenVerifier(KeySet([old, new]))
    for key, kid in ((KEY, "old"), (OTHER_KEY, "new"), (KEY, None), (OTHER_KEY, None)):
        assert both.read(sign(key, claims, kid=kid), timestamp=NOW)
    with pytest.raises(TokenError, match="not valid"):
        both.read(sign(KEY, claims, kid="new"), timestamp=NOW)
    with pytest.raises(TokenError, match="not known"):
        TokenVerifier(KeySet([new])).read(sign(KEY, claims, kid="old"), timestamp=NOW)


def test_a_key_without_a_name_verifies_tokens_of_any():
    claims = {"ids": ["op"], "exp": NOW + 60}
    assert read(sign(KEY, claims, kid="any"))
    with pytest.raises(TokenError, match="not known"):
        read(sign(OTHER_KEY, claims, kid="any"))


def test_a_token_may_name_a_key_that_is_still_to_be_fetched():
    named = TokenVerifier(KeySet([VerificationKey(HS256, KEY, "known")]))
    claims = {"ids": [], "exp": NOW + 60}
    assert named.needs_new_key(sign(KEY, claims, kid="new"))
    for one in (sign(KEY, claims, kid="known"), sign(KEY, claims), "nonsense", None, 7):
        assert not named.needs_new_key(one)


def test_a_token_that_is_revoked_is_refused():
    revoked = parse_revocations("jti:t1\nsub:user")
    for claims in ({"jti": "t1"}, {"sub": "user", "jti": "t2"}):
        with pytest.raises(TokenError, match="revoked"):
            read(token("op", **claims), revocations=revoked)
    assert read(token("op", jti="user", sub="t1"), revocations=revoked)
    assert read(token("op"), revocations=revoked)


def test_the_name_of_a_key_is_a_text():
    with pytest.raises(TokenError, match="not valid"):
        read(signed_text('{"alg": "HS256", "kid": [1]}', '{"ids": [], "exp": 9999999999}'))
