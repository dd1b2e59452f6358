from __future__ import annotations

import json
from contextlib import suppress

import jwt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.json_values import nested, texts, values

from celery_wsprogress.access.permissions import (
    EVERYTHING,
    MAX_GRANTS,
    Permit,
    host_allowed,
    origin_allowed,
    read_token,
    sign,
)
from celery_wsprogress.errors import TokenError

KEY = "a key that is long enough for HS256"
OTHER_KEY = "another key that is long enough too"
NOW = 1_700_000_000.0


def token(ids=("op",), *, key=KEY, lasting=60.0):
    return sign(key, ids, issued_at=NOW, expires_at=NOW + lasting)


def signed(claims, *, key=KEY, **how):
    """A token with claims of any kind."""
    return jwt.encode(claims, key, **({"algorithm": "HS256"} | how))


def signed_text(header, payload, key=KEY):
    """A token whose parts are given as text, signed as it should be."""
    encode = jwt.utils.base64url_encode
    message = encode(header.encode()) + b"." + encode(payload.encode())
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return (message + b"." + encode(signature.sign(message, key.encode()))).decode()


HEADER = '{"alg": "HS256", "typ": "JWT"}'


# Hosts.


@pytest.mark.parametrize(
    "header",
    [
        "localhost",
        "localhost:8765",
        "LocalHost:8765",
        "localhost.:8765",
        "app.localhost:8765",
        "127.0.0.1:8765",
        "[::1]:8765",
        "192.168.1.7:8765",  # an address cannot be rebound
        "progress.example",
        "PROGRESS.example:443",
        "progress.example.",
        "dotted.example",
    ],
)
def test_hosts_that_are_served(header):
    assert host_allowed(header, ("Progress.Example", "dotted.example."))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        ":8765",
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "localhost:8765@evil.example",
        "localhost, evil.example",
        "evil.example,localhost",
        "localhost evil.example",
        "localhost/evil.example",
        "localhost?evil.example",
        "localhost#evil.example",
        "localhost:evil",
        "localhost:99999",
        "sub.progress.example",
        "progress.example.evil.example",
        "[::1",
        "::1]",
        "[localhost]",
        "\u2100.example",
        "\udcff",
    ],
)
def test_hosts_that_are_not_served(header):
    assert not host_allowed(header, ("progress.example",))


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_any_host_and_origin_gets_an_answer(header, origin, listed):
    assert host_allowed(header, [listed]) in {True, False}
    assert origin_allowed(origin, header, [listed]) in {True, False}


@given(st.text(st.characters(codec="ascii"), max_size=10), st.sampled_from(["", ":8765", "."]))
def test_no_prefix_makes_a_foreign_host_ours(prefix, rest):
    assert not host_allowed(f"{prefix}.evil.example{rest}", ())
    assert not origin_allowed(f"http://{prefix}.evil.example{rest}", "localhost:8765", ())


# Origins.


@pytest.mark.parametrize(
    "origin",
    [
        None,  # no browser
        "null",  # a page from disk; what it may do is the permit's affair
        "http://localhost",
        "http://localhost:3000",
        "HTTP://LOCALHOST:3000",
        "https://app.localhost",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "https://progress.example:8765",  # the very host that was asked
        "https://listed.example",
        "https://LISTED.example/",
        "https://listed.example:443",
    ],
)
def test_origins_that_may_connect(origin):
    listed = ("https://Listed.example",)
    assert origin_allowed(origin, "progress.example:8765", listed)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "Null",
        "http://evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "http://localhost:80@evil.example",
        "http://evil.example@localhost",
        "http://evil.example\\@localhost",
        "http://localhost\\.evil.example",
        "http://localhost:3000.evil.example",
        "http://localhost http://evil.example",
        "http://evil.example http://localhost",
        "http://evil.example/localhost",
        "http://evil.example#localhost",
        "http://localhost/evil.example",
        "http://listed.example",  # another scheme
        "https://listed.example:444",
        "https://sub.listed.example",
        "https://listed.example.evil.example",
        "https://progress.example",  # another port of the host that was asked
        "https://progress.example:8765@evil.example",
        "localhost",
        "//localhost:80x",
        "http://",
        "http://[bad",
        "http://[::1",
        "http://\u2100.example",
        "http://\udcff",
        "*",
    ],
)
def test_origins_that_may_not_connect(origin):
    assert not origin_allowed(origin, "progress.example:8765", ("https://listed.example",))


@pytest.mark.parametrize("host", [None, ""])
def test_no_host_is_the_host_of_no_origin(host):
    assert not origin_allowed("http://", host, ())
    assert not origin_allowed("none", host, ())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://progress.example", "progress.example:443"),
        ("http://progress.example", "progress.example:80"),
        ("http://progress.example:80", "progress.example"),
        # nginx's $host, which leaves the port out
        ("http://progress.example:8080", "progress.example"),
        ("https://progress.example:8443", "progress.example"),
        # $host:$server_port behind another proxy that ends TLS
        ("https://progress.example", "progress.example:80"),
        ("https://progress.example", "Progress.Example."),
        ("http://[fd00::1]:8080", "[fd00::1]"),
    ],
)
def test_a_page_of_the_host_may_connect_however_a_proxy_writes_its_port(origin, host):
    assert origin_allowed(origin, host, ())


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://progress.example", "progress.example:8765"),
        ("http://progress.example:8080", "progress.example:8081"),
        ("http://progress.example:8080", "progress.example:80"),
        ("http://sub.progress.example:8080", "progress.example"),
        ("http://progress.example.evil.example", "progress.example"),
        ("http://[fd00::1]:8080", "[fd00::2]"),
    ],
)
def test_a_page_of_another_port_or_name_may_not(origin, host):
    assert not origin_allowed(origin, host, ())


@pytest.mark.parametrize("listed", ["https://listed.example:443", "https://listed.example/"])
def test_a_listed_origin_may_name_its_default_port(listed):
    assert origin_allowed("https://listed.example", "progress.example", [listed])
    assert not origin_allowed("http://listed.example", "progress.example", [listed])


# Tokens.


@given(st.lists(texts, max_size=5), st.floats(0.001, 1e9))
def test_a_token_is_read_as_it_was_signed(ids, lasting):
    grant = read_token(KEY, token(ids, lasting=lasting), timestamp=NOW)
    assert grant.ids == frozenset(ids)
    assert 0 <= grant.expires_at - (NOW + lasting) < 1


def test_a_token_ends_at_its_end():
    one = token(lasting=60)
    assert read_token(KEY, one, timestamp=NOW + 59.9)
    with pytest.raises(TokenError, match="expired"):
        read_token(KEY, one, timestamp=NOW + 60)


FORGED = {
    "another key": token(key=OTHER_KEY),
    "no signature": token().rpartition(".")[0] + ".",
    "two parts": token().rpartition(".")[0],
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
    "bytes": token().encode(),
    "list": [token()],
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
        read_token(KEY, forged, timestamp=NOW)
    assert str(caught.value) in {"The token is not valid", "The token is not a string"}


@pytest.mark.parametrize("claims", WITHOUT_SENSE.values(), ids=WITHOUT_SENSE)
def test_a_token_without_sense_is_refused(claims):
    with pytest.raises(TokenError, match=r"no valid claim|expired"):
        read_token(KEY, signed_text(HEADER, json.dumps(claims)), timestamp=NOW)


@given(texts | values | st.dictionaries(st.sampled_from(["ids", "exp"]), values).map(signed))
@example(signed({"ids": [], "exp": NOW + 1}))
def test_any_token_is_a_grant_or_refused(something):
    with suppress(TokenError):
        grant = read_token(KEY, something, timestamp=NOW)
        payload = json.loads(jwt.utils.base64url_decode(something.split(".")[1]))
        assert grant == (frozenset(payload["ids"]), payload["exp"])
        assert grant.expires_at > NOW


def test_times_that_a_library_would_check_by_its_own_clock_are_left_alone():
    claims = {"ids": ["op"], "exp": 100, "iat": 9e9, "aud": "somebody", "iss": "somebody"}
    assert read_token(KEY, signed(claims), timestamp=99.0).ids == {"op"}


# Permits.


def test_without_a_key_all_may_be_watched_and_listed():
    permit = Permit(None)
    assert permit.may_watch("op", NOW)
    assert permit.may_list(NOW)
    assert permit.may_count(NOW)


def test_a_page_exact_only_may_watch_and_count_and_nothing_more():
    permit = Permit(None, exact_only=True)
    assert permit.may_watch("op", NOW)
    assert permit.may_count(NOW)
    assert not permit.may_list(NOW)


def test_with_a_key_nothing_is_allowed_before_a_token():
    permit = Permit(KEY)
    assert not permit.may_watch("op", NOW)
    assert not permit.may_watch(EVERYTHING, NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_count(NOW)


def test_a_token_grants_its_ids_until_it_ends():
    permit = Permit(KEY)
    permit.add(token(["op"]), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert permit.may_count(NOW)
    assert not permit.may_watch("other", NOW)
    assert not permit.may_watch("o", NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_watch("op", NOW + 60)
    assert not permit.may_count(NOW + 60)


def test_a_token_for_everything_grants_lists_too():
    permit = Permit(KEY)
    permit.add(token([EVERYTHING]), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert permit.may_list(NOW)


def test_even_such_a_token_lists_nothing_for_a_page_exact_only():
    permit = Permit(KEY, exact_only=True)
    permit.add(token([EVERYTHING]), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert not permit.may_list(NOW)


def test_a_bad_token_takes_nothing_away():
    permit = Permit(KEY)
    permit.add(token(["op"]), timestamp=NOW)
    with pytest.raises(TokenError):
        permit.add(token(["op"], key=OTHER_KEY), timestamp=NOW)
    assert permit.may_watch("op", NOW)


def test_tokens_add_up_to_a_bound():
    permit = Permit(KEY)
    for number in range(MAX_GRANTS + 1):
        permit.add(token([f"op-{number}"]), timestamp=NOW)
    assert len(permit.grants) == MAX_GRANTS
    assert not permit.may_watch("op-0", NOW)
    assert permit.may_watch("op-1", NOW)
    assert permit.may_watch(f"op-{MAX_GRANTS}", NOW)


@given(values)
def test_without_a_key_any_token_is_as_good_as_none(something):
    permit = Permit(None)
    assert permit.add(something, timestamp=NOW).ids == frozenset()
    assert permit.grants == []


def test_the_key_is_not_in_the_text_of_a_permit():
    assert KEY not in repr(Permit(KEY))
