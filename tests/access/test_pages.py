"""Which pages may send a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.access.pages import cookies_allowed, host_allowed, may_read, origin_allowed

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
        "file://",
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
        "file:///",
        "file://evil.example",
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


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_pages_from_disk_may_be_kept_out(origin):
    assert not origin_allowed(origin, "localhost", (), file_pages=False)
    assert not origin_allowed(origin, "localhost", ("https://listed.example",), file_pages=False)


# Requests without an origin.


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ((None, None, None, None), True),  # no browser
        ((None, "same-origin", "cors", "empty"), True),
        ((None, "none", "navigate", "document"), True),  # a bookmark
        ((None, "cross-site", "navigate", "document"), True),  # a link
        (("https://listed.example", "cross-site", "cors", "empty"), True),
        ((None, "cross-site", "navigate", "iframe"), False),
        ((None, "cross-site", "navigate", "object"), False),
        ((None, "cross-site", "no-cors", "empty"), False),
        ((None, "cross-site", "no-cors", "image"), False),
        ((None, "cross-site", "no-cors", "script"), False),
        ((None, "same-site", "no-cors", "script"), False),
        ((None, "cross-site", "websocket", "empty"), False),
        ((None, "", "cors", "empty"), False),  # twice in the request
        ((None, "cross-site", "", "document"), False),
        ((None, "cross-site", None, None), False),
    ],
)
def test_who_gets_an_answer(headers, allowed):
    assert may_read(*headers) is allowed


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
