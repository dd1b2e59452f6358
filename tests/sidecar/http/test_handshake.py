from __future__ import annotations

import http.client
import logging
import socket
from http import HTTPStatus

import pytest
from support.sidecars import SidecarThread
from websockets.datastructures import Headers
from websockets.http11 import Request

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.http.handshake import (
    operation_id_in_path,
    permit_for,
    refused_header,
    reject_reason,
    single_header,
    to_http_response,
)
from celery_wsprogress.sidecar.http.refusals import RefusedHeader
from celery_wsprogress.sidecar.http.routes import JSON, HTTPAnswer

KEY = "a key that is long enough for HS256"


# Who is refused.


def request(*headers, method="GET"):
    return Request("/", Headers(headers), method)


HOST = ("Host", "localhost:8765")
SETTINGS = ServeSettings.load({"origins": "https://listed.example", "hosts": "progress.example"})


@pytest.mark.parametrize(
    "headers",
    [
        [HOST],
        [("host", "127.0.0.1:8765")],
        [("Host", "progress.example")],
        [HOST, ("Origin", "http://localhost:3000")],
        [HOST, ("Origin", "null")],
        [HOST, ("Origin", "file://")],
        [HOST, ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "no-cors")],
        [HOST, ("Origin", "https://listed.example")],
        [("Host", "progress.example"), ("Origin", "https://progress.example")],
    ],
    ids=repr,
)
def test_who_is_served(headers):
    assert reject_reason(request(*headers), SETTINGS) is None


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ([], "--allow-host"),
        ([("Host", "")], "--allow-host"),
        ([("Host", "evil.example")], "--allow-host"),
        ([HOST, HOST], "--allow-host"),
        ([HOST, ("host", "evil.example")], "--allow-host"),
        ([HOST, ("Origin", "http://evil.example")], "--origin"),
        ([HOST, ("Origin", "")], "--origin"),
        ([HOST, ("Origin", "http://localhost"), ("Origin", "http://localhost")], "--origin"),
        ([HOST, ("Origin", "http://localhost"), ("origin", "http://evil.example")], "--origin"),
        ([HOST, ("Origin", "null"), ("Origin", "null")], "--origin"),
        ([HOST, ("Origin", "http://[")], "--origin"),
        ([("Host", "evil.example"), ("Origin", "http://evil.example")], "--allow-host"),
    ],
    ids=repr,
)
def test_who_is_refused_and_what_would_help(headers, hint):
    answer = reject_reason(request(*headers), SETTINGS)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert hint in answer.body.decode()


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_pages_from_disk_may_be_kept_out(origin):
    settings = ServeSettings.load({"file_pages": False})
    answer = reject_reason(request(HOST, ("Origin", origin)), settings)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert "--file-pages" in answer.body.decode()


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_an_element_of_a_page_elsewhere_loads_nothing(site):
    headers = [HOST, ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors")]
    assert reject_reason(request(*headers), SETTINGS).status == HTTPStatus.FORBIDDEN
    twice = [HOST, ("Sec-Fetch-Site", "none"), ("Sec-Fetch-Site", site)]
    assert reject_reason(request(*twice), SETTINGS).status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize(
    ("origin", "exact_only", "untrusted"),
    [
        (None, False, False),
        ("http://localhost:3000", False, False),
        ("file://", True, False),
        ("null", True, True),
    ],
)
def test_what_a_page_may_do_by_its_origin(origin, exact_only, untrusted):
    headers = [HOST] if origin is None else [HOST, ("Origin", origin)]
    permit = permit_for(request(*headers), ServeSettings(), None)
    assert (permit.exact_only, permit.untrusted) == (exact_only, untrusted)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "CONNECT", "get"])
def test_only_requests_that_read_are_served(method):
    answer = reject_reason(request(HOST, method=method), SETTINGS)
    assert answer.status == HTTPStatus.METHOD_NOT_ALLOWED
    assert to_http_response(answer).headers["Allow"] == "GET, HEAD, OPTIONS"


def test_a_foreign_page_learns_nothing_whatever_its_method():
    headers = [HOST, ("Origin", "http://evil.example")]
    assert reject_reason(request(*headers, method="POST"), SETTINGS).status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("host", ["localhost:99999", "localhost:0", "progress.example:123456"])
def test_a_port_that_is_impossible_is_no_question_of_the_name(host):
    refused = refused_header(request(("Host", host)), SETTINGS)
    assert refused == RefusedHeader("host name", "", host)
    answer = reject_reason(request(("Host", host)), SETTINGS)
    assert answer.status == HTTPStatus.FORBIDDEN
    assert answer.body == b"The port in this Host is impossible\n"
    assert refused_header(request(("Host", "evil.example:99999")), SETTINGS) == RefusedHeader(
        "host name", "--allow-host", "evil.example"
    )


def test_the_host_that_is_bound_is_a_name_too():
    settings = ServeSettings.load({"host": "progress.example", "key": KEY})
    assert reject_reason(request(("Host", "progress.example:8765")), settings) is None


@pytest.mark.parametrize(
    ("headers", "value"),
    [([], None), ([("A", "1")], "1"), ([("A", "1"), ("a", "2")], ""), ([("A", "")], "")],
)
def test_one_value(headers, value):
    assert single_header(Headers(headers), "a") == value


@pytest.mark.parametrize(
    ("path", "operation_id"),
    [
        ("/ws/abc", "abc"),
        ("/ws/abc?x=/ws/y", "abc"),
        ("/ws/a%2Fb/c", "a/b/c"),
        ("/ws/%C3%A9", "é"),
        ("/ws/%ff", "\ufffd"),
        ("/ws/*", "*"),
        ("/ws/", ""),
        ("/ws", ""),
        ("/", ""),
        ("", ""),
        ("/other/ws/abc", ""),
        ("/?/ws/abc", ""),
        ("//[/ws/abc", ""),
        ("//[", ""),
    ],
)
def test_the_id_in_a_path(path, operation_id):
    assert operation_id_in_path(path) == operation_id


def test_a_response_says_what_it_is_and_ends():
    sent = to_http_response(HTTPAnswer(HTTPStatus.NOT_FOUND, b"{}\n"))
    assert (sent.status_code, sent.reason_phrase, sent.body) == (404, "Not Found", b"{}\n")
    headers = dict(sent.headers.raw_items())
    assert headers["Content-Type"] == JSON
    assert headers["Content-Length"] == "3"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Connection"] == "close"


# The same through a socket, where a stranger writes what he likes.


@pytest.fixture(scope="module")
def port():
    with SidecarThread(BrokerAddress("memory://"), key=KEY) as sidecar:
        yield sidecar.port


def first_line(port, *lines):
    """What is answered to a request made of these lines, as far as its first line."""
    return answer_to(port, *lines, read="readline")


def answer_to(port, *lines, read="read"):
    """All that is answered to a request made of these lines, until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1"))
        with sock.makefile("rb") as answer:
            return getattr(answer, read)().decode()


UPGRADE = (
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["GET /healthz HTTP/1.1", "Host: localhost"], 200),
        (["GET /healthz HTTP/1.0"], 200),  # HAProxy's check
        (["GET /readyz HTTP/1.0"], 200),
        (["GET / HTTP/1.0"], 403),
        (["GET /status HTTP/1.1"], 403),
        (["GET /healthz HTTP/1.1", "Host: localhost", "Host: localhost"], 403),
        (["GET /healthz HTTP/1.1", "Host: evil.example"], 403),
        (["GET //[ HTTP/1.1", "Host: localhost"], 404),
        (["GET /status HTTP/1.1", "Host: localhost", "Authorization: a", "Authorization: b"], 401),
        (["GET /status HTTP/1.1", "Host: localhost", "Authorization: Bearer \xff"], 401),
        (["GET / HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Upgrade: websocket"], 200),
        (["GET / HTTP/1.1", "Host: localhost", "Origin: http://["], 403),
        (["GET / HTTP/1.1", "Host: localhost", "Origin: http://\xe9"], 403),
        (["GET / HTTP/1.1", "Host: [::1"], 403),
        (["POST / HTTP/1.1", "Host: localhost", "Content-Length: 0"], 405),
        (["GET / HTTP/1.1", *UPGRADE], 101),
        (["GET //[ HTTP/1.1", *UPGRADE], 101),
        (["GET /ws/%ff HTTP/1.1", *UPGRADE], 101),
        (["GET / HTTP/1.1", *UPGRADE, "Origin: http://evil.example"], 403),
        (["GET / HTTP/1.1", *UPGRADE, "Origin: null", "Origin: null"], 403),
        # As a proxy sends a handshake on that was not told to pass the upgrade on.
        (["GET / HTTP/1.1", *UPGRADE[:1], *UPGRADE[3:]], 426),
        (["GET /ws/abc HTTP/1.0", *UPGRADE[:1], "Connection: close", *UPGRADE[3:]], 426),
    ],
    ids=repr,
)
def test_what_a_stranger_writes_is_answered_and_breaks_nothing(port, caplog, lines, expected):
    with caplog.at_level(logging.ERROR):
        assert first_line(port, *lines).split(" ")[:2] == ["HTTP/1.1", str(expected)]
    assert [one.getMessage() for one in caplog.records] == []


def test_an_upgrade_that_a_proxy_lost_is_said_once_in_the_log_and_in_the_answer(caplog):
    lines = ["GET / HTTP/1.1", *UPGRADE[:1], *UPGRADE[3:]]
    with SidecarThread(BrokerAddress("memory://")) as sidecar:
        for _ in range(3):
            assert "426" in first_line(sidecar.port, *lines)
    said = [one.getMessage() for one in caplog.records if "Upgrade" in one.getMessage()]
    assert len(said) == 1
    assert "proxy_set_header Upgrade $http_upgrade" in said[0]


@pytest.mark.parametrize(
    ("proxies", "address"), [((), "127.0.0.1"), (("127.0.0.0/8",), "198.51.100.1")]
)
def test_the_log_names_the_client_behind_a_listed_proxy(caplog, proxies, address):
    lines = ["GET / HTTP/1.1", "Host: evil.example", "X-Forwarded-For: 6.6.6.6, 198.51.100.1"]
    with SidecarThread(BrokerAddress("memory://"), trusted_proxies=proxies) as sidecar:
        assert "403" in first_line(sidecar.port, *lines)
    said = [one.getMessage() for one in caplog.records if "Refused" in one.getMessage()]
    assert [line.split(" ")[4] for line in said] == [address]


def whole_answer(port, method, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers)
    with connection.getresponse() as answer:
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize("path", ["/healthz", "/", "/client.js", "/status", "/nowhere"])
def test_head_is_answered_as_get_without_the_body(port, path):
    status, headers, body = whole_answer(port, "GET", path)
    head_status, head_headers, nothing = whole_answer(port, "HEAD", path)
    assert (head_status, head_headers["Content-Length"], nothing) == (status, str(len(body)), b"")
    assert head_headers.items() == headers.items()


@pytest.mark.parametrize("origin", ["http://localhost:3000", "http://127.0.0.1"])
@pytest.mark.parametrize("path", ["/status", "/operations", "/operations/a", "/readyz"])
def test_a_page_that_may_connect_reads_the_answers(port, path, origin):
    for method in ("GET", "OPTIONS"):
        _, headers, _ = whole_answer(port, method, path, Origin=origin)
        assert headers["Access-Control-Allow-Origin"] == origin
        assert headers["Vary"] == "Origin"
    assert headers["Access-Control-Allow-Headers"] == "Authorization, Last-Event-ID"
    assert "GET" in headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("origin", ["null", "file://", "https://evil.example"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_other_page_reads_them(port, method, origin):
    _, headers, _ = whole_answer(port, method, "/operations/a", Origin=origin)
    assert "Access-Control-Allow-Origin" not in headers


def test_nor_does_one_that_names_no_host_and_so_was_not_checked(port):
    answer = answer_to(port, "GET /readyz HTTP/1.1", "Origin: https://evil.example")
    assert answer.startswith("HTTP/1.1 200 ")
    assert "evil.example" not in answer


def test_no_handshake_begins_with_head(port):
    lines = ["HEAD /healthz HTTP/1.1", *UPGRADE]
    assert "426" in first_line(port, *lines)
