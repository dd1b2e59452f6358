from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_values import values
from support.tokens import KEY, NOW, OTHER_KEY, guarded, token

from celery_wsprogress.access.grants import (
    ALL_OPERATIONS,
    EVERYTHING,
    Pattern,
    PatternKind,
    View,
)
from celery_wsprogress.access.permissions import (
    Permit,
    cookies_allowed,
    host_allowed,
    origin_allowed,
)
from celery_wsprogress.errors import TokenError
from celery_wsprogress.operations.operation import Operation

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


# Cookies.


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("https://progress.example", True),
        ("https://listed.example", True),
        ("null", False),
        ("file://", False),
        ("http://localhost:3000", False),
        ("https://evil.example", False),
        ("", False),
    ],
)
def test_a_cookie_counts_for_pages_that_are_known(origin, allowed):
    assert cookies_allowed(origin, "progress.example", ["https://listed.example"]) == allowed


def test_a_cookie_counts_for_a_page_of_the_sidecar_itself():
    assert cookies_allowed("http://localhost:8765", "localhost:8765", ())


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
    permit = guarded()
    assert not permit.may_watch("op", NOW)
    assert not permit.may_watch(EVERYTHING, NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_count(NOW)


def test_a_token_grants_its_ids_until_it_ends():
    permit = guarded()
    permit.add(token("op"), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert permit.may_count(NOW)
    assert not permit.may_watch("other", NOW)
    assert not permit.may_watch("o", NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_watch("op", NOW + 60)
    assert not permit.may_count(NOW + 60)


def test_a_token_for_everything_grants_lists_too():
    permit = guarded()
    permit.add(token(EVERYTHING), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert permit.may_list(NOW)


def test_even_such_a_token_lists_nothing_for_a_page_exact_only():
    permit = guarded(exact_only=True)
    permit.add(token(EVERYTHING), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert not permit.may_list(NOW)


def test_a_bad_token_takes_nothing_away():
    permit = guarded()
    permit.add(token("op"), timestamp=NOW)
    with pytest.raises(TokenError):
        permit.add(token("op", key=OTHER_KEY), timestamp=NOW)
    assert permit.may_watch("op", NOW)


def test_any_number_of_tokens_adds_up():
    permit = guarded()
    for number in range(300):
        permit.add(token(f"op-{number}"), timestamp=NOW)
    assert len(permit.grants) == 300
    assert permit.may_watch("op-0", NOW)
    assert permit.may_watch("op-299", NOW)
    assert permit.earliest_end == NOW + 60


def test_tokens_that_have_expired_are_not_kept():
    permit = guarded()
    permit.add(token("old", lasting=10), timestamp=NOW)
    permit.add(token("new", sub="user"), timestamp=NOW + 10)
    assert [one.subject for one in permit.grants] == ["user"]
    assert not permit.drop_ended(NOW + 59)
    assert permit.drop_ended(NOW + 60)
    assert permit.earliest_end == math.inf


def test_rights_can_be_taken_back():
    permit = guarded()
    permit.add(token("op", jti="t1"), timestamp=NOW)
    assert not permit.drop_if(lambda grant: grant.token_id == "t2")
    assert permit.drop_if(lambda grant: grant.token_id == "t1")
    assert not permit.may_watch("op", NOW)
    assert not permit.is_authenticated(NOW)


def test_an_operation_is_covered_by_what_is_known_of_it():
    permit = guarded()
    permit.add(token(ops=["group:g"]), timestamp=NOW)
    member = Operation("op", 0.0, group_id="g")
    assert permit.may_watch("op", NOW, member)
    assert not permit.may_watch("op", NOW)
    assert not permit.may_watch("other", NOW, Operation("other", 0.0, group_id="h"))
    assert not permit.may_watch("op", NOW + 60, member)


def test_a_group_is_watched_and_listed_by_its_token():
    permit = guarded()
    permit.add(token(ops=["group:g"]), timestamp=NOW)
    group, other = Pattern(PatternKind.GROUP, "g"), Pattern(PatternKind.GROUP, "h")
    tag = Pattern(PatternKind.TAG, "t")
    assert permit.may_select(group, NOW)
    assert not permit.may_select(other, NOW)
    assert not permit.may_select(ALL_OPERATIONS, NOW)
    assert permit.may_list(NOW, [tag, group])
    assert not permit.may_list(NOW, [tag])
    assert not permit.may_list(NOW)


def test_each_right_is_needed_for_its_own_thing():
    operation = Operation("op", 0.0)
    for right in ("watch", "list", "stats", "cancel"):
        permit = guarded()
        permit.add(token(EVERYTHING, can=[right]), timestamp=NOW)
        assert permit.may_watch("op", NOW, operation) == (right == "watch")
        assert permit.may_select(ALL_OPERATIONS, NOW) == (right == "watch")
        assert permit.may_list(NOW) == (right == "list")
        assert permit.may_count(NOW) == (right == "stats")
        assert permit.is_authenticated(NOW)


def test_the_view_is_the_widest_of_the_tokens_that_cover_the_operation():
    permit, operation = guarded(), Operation("op", 0.0, group_id="g")
    assert permit.view_of(operation, NOW) is View.PROGRESS
    permit.add(token(ops=["group:g"], view="progress"), timestamp=NOW)
    permit.add(token("other"), timestamp=NOW)
    permit.add(token("op", can=["list"]), timestamp=NOW)
    assert permit.view_of(operation, NOW) is View.PROGRESS
    permit.add(token("op", lasting=30), timestamp=NOW)
    assert permit.view_of(operation, NOW) is View.FULL
    assert permit.view_of(operation, NOW + 30) is View.PROGRESS


def test_without_a_key_everything_is_seen():
    assert Permit(None).view_of(Operation("op", 0.0), NOW) is View.FULL
    assert Permit(None).is_open
    assert not guarded().is_open


@given(values)
def test_without_a_key_any_token_is_as_good_as_none(something):
    permit = Permit(None)
    assert permit.add(something, timestamp=NOW).expires_at == math.inf
    assert permit.grants == []


def test_the_key_is_not_in_the_text_of_a_permit():
    assert KEY not in repr(guarded())
