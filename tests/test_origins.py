from __future__ import annotations

import pytest

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://example.org", ("https://example.org",)),
        ("https://example.org/", ("https://example.org",)),
        ("HTTPS://Example.ORG:443", ("https://example.org",)),
        ("http://example.org:80/", ("http://example.org",)),
        ("http://example.org:8080", ("http://example.org:8080",)),
        ("https://a.io https://b.io", ("https://a.io", "https://b.io")),
        ("https://a.io, https://b.io/", ("https://a.io", "https://b.io")),
        (["https://a.io\n", "https://b.io"], ("https://a.io", "https://b.io")),
        ("https://bücher.example", ("https://xn--bcher-kva.example",)),
        ("https://example.org.", ("https://example.org",)),
        ("http://[2001:DB8::1]:8000", ("http://[2001:db8::1]:8000",)),
        ("http://192.0.2.1", ("http://192.0.2.1",)),
        ("capacitor://localhost", ("capacitor://localhost",)),
    ],
)
def test_an_origin_is_taken_as_browsers_send_it(given, taken):
    assert ServeSettings.load({"origins": given}).origins == taken


@pytest.mark.parametrize(
    "given",
    ["example.org", "*", "https://*", "https://*.example.org", "https://example.org/app", "null",
     "https://", "//example.org", "https://example.org?x", "https://example.org#x",
     "https://me:secret@example.org", "https://example.org:0", "https://example.org:99999",
     "https://example.org:x", "wss://example.org", "example.org:8000", "https://a.io;https://b.io",
     "https:example.org", "https://exa mple.org"],
)  # fmt: skip
def test_an_origin_that_matches_nothing_is_refused(given):
    with pytest.raises(ConfigurationError, match=r"wsprogress_origins is .*https://example\.org:"):
        ServeSettings.load({"origins": given})


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("Progress.Example.org", ("progress.example.org",)),
        ("progress.example.org:8765", ("progress.example.org",)),
        ("progress.example.org.", ("progress.example.org",)),
        ("a.example b.example,c", ("a.example", "b.example", "c")),
        ("2001:db8::1", ("2001:db8::1",)),
        ("my_service", ("my_service",)),
    ],
)
def test_a_host_name_is_taken_as_it_is_compared(given, taken):
    assert ServeSettings.load({"hosts": given}).hosts == taken


@pytest.mark.parametrize(
    "given", ["https://example.org", "*", "*.example.org", ".example.org", "example.org/ws", "a:x"]
)
def test_a_host_name_that_matches_nothing_is_refused(given):
    with pytest.raises(ConfigurationError, match=r"wsprogress_hosts is .*without a scheme"):
        ServeSettings.load({"hosts": given})


@pytest.mark.parametrize("given", ["http://localhost", "localhost:8765", "0.0.0.0:80", "*", "a b"])
def test_a_host_to_listen_on_is_a_name_or_an_address(given):
    with pytest.raises(ConfigurationError, match="wsprogress_host is"):
        ServeSettings.load({"host": given})


@pytest.mark.parametrize("given", ["localhost", "0.0.0.0", "::", "::1", "[::1]", "fe80::1%eth0"])
def test_a_host_to_listen_on(given):
    assert ServeSettings.load({"host": given}).host == given
