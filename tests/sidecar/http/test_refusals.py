"""What is said of refused host names and origins."""

from __future__ import annotations

import pytest

from celery_wsprogress.sidecar.http.refusals import RefusedHeader, describe_refusal


def origin(name):
    return RefusedHeader("origin", "--origin", name)


def host(name):
    return RefusedHeader("host name", "--allow-host", name)


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (origin("https://a.example"), "origin https://a.example; --origin https://a.example would"),
        (origin("http://a.example:81"), "http://a.example:81; --origin http://a.example:81 would"),
        (host("a.example"), "with the host name a.example; --allow-host a.example would let it in"),
        # An option that names nothing.
        (
            RefusedHeader("origin", "--file-pages", "null"),
            "with the origin null; --file-pages woul",
        ),
    ],
)
def test_the_line_names_the_option_that_would_let_it_in(refused, told):
    line = describe_refusal(refused, "192.0.2.7 (sub anna)")
    assert line.startswith("Refused a request from 192.0.2.7 (sub anna) with the ")
    assert told in line


@pytest.mark.parametrize(
    "refused",
    [
        origin("https://x.example; rm -rf ~"),
        origin("https://\x1b[31mred\N{RIGHT-TO-LEFT OVERRIDE}"),
        origin("$(id)"),
        origin("a" * 100_000),
        origin("localhost"),
        origin("https://localhost:99999"),
        host("localhost:99999"),
        host("localhost:0"),
        RefusedHeader("host name", "", "localhost:99999"),
        host("a..example"),
        host("a" * 100),
    ],
)
def test_what_may_be_dangerous_or_no_option_takes_is_shown_and_not_recommended(refused):
    line = describe_refusal(refused, "192.0.2.7")
    assert "would let it in" not in line
    assert line.isprintable()
    assert len(line) < 300


def test_one_without_a_name_is_said_too():
    line = describe_refusal(origin(""), "192.0.2.7")
    assert line == "Refused a request from 192.0.2.7 with no origin, or more than one"
